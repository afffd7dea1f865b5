// The signatures of the operators; the evaluator itself computes them.
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

#define PENSTOCK_CEL_ORDER(op, sentence, example)                  \
  {"_" op "_(bool, bool) -> bool", nullptr, sentence, example},    \
      {"_" op "_(int, int) -> bool", nullptr, "", ""},             \
      {"_" op "_(int, uint) -> bool", nullptr, "", ""},            \
      {"_" op "_(int, double) -> bool", nullptr, "", ""},          \
      {"_" op "_(uint, uint) -> bool", nullptr, "", ""},           \
      {"_" op "_(uint, int) -> bool", nullptr, "", ""},            \
      {"_" op "_(uint, double) -> bool", nullptr, "", ""},         \
      {"_" op "_(double, double) -> bool", nullptr, "", ""},       \
      {"_" op "_(double, int) -> bool", nullptr, "", ""},          \
      {"_" op "_(double, uint) -> bool", nullptr, "", ""},         \
      {"_" op "_(string, string) -> bool", nullptr, "", ""},       \
      {"_" op "_(bytes, bytes) -> bool", nullptr, "", ""},         \
      {"_" op "_(timestamp, timestamp) -> bool", nullptr, "", ""}, \
      {"_" op "_(duration, duration) -> bool", nullptr, "", ""}

constexpr FunctionRow kRows[] = {
    {"_?_:_(bool, A, A) -> A", nullptr,
     "The second value if the condition is true, else the third.", "(1 < 2 ? 'a' : 'b') == 'a'"},
    {"!_(bool) -> bool", nullptr, "Not.", "!false"},
    {"-_(int) -> int", nullptr, "The negative of a number.", "-(1 + 2) == -3"},
    {"-_(double) -> double", nullptr, "", ""},
    {"_==_(A, A) -> bool", nullptr, "Equal, deeply; numbers by value.", "[1, 2] == [1, 2]"},
    {"_!=_(A, A) -> bool", nullptr, "Not equal.", "'a' != 'b'"},
    PENSTOCK_CEL_ORDER("<", "Less; numbers by value, strings by code point, false before true.",
                       "1 < 2"),
    PENSTOCK_CEL_ORDER("<=", "Less or equal.", "1 <= 1"),
    PENSTOCK_CEL_ORDER(">", "Greater.", "'b' > 'a'"),
    PENSTOCK_CEL_ORDER(">=", "Greater or equal.", "2.5 >= 2"),
    {"_+_(int, int) -> int", nullptr,
     "The sum of numbers of one type, a moment moved by a duration, or two strings, bytes or lists "
     "one after the other.",
     "1 + 2 == 3"},
    {"_+_(uint, uint) -> uint", nullptr, "", ""},
    {"_+_(double, double) -> double", nullptr, "", ""},
    {"_+_(string, string) -> string", nullptr, "", ""},
    {"_+_(bytes, bytes) -> bytes", nullptr, "", ""},
    {"_+_(list<A>, list<A>) -> list<A>", nullptr, "", ""},
    {"_+_(timestamp, duration) -> timestamp", nullptr, "", ""},
    {"_+_(duration, timestamp) -> timestamp", nullptr, "", ""},
    {"_+_(duration, duration) -> duration", nullptr, "", ""},
    {"_-_(int, int) -> int", nullptr, "The difference; of two timestamps, a duration.",
     "3 - 2 == 1"},
    {"_-_(uint, uint) -> uint", nullptr, "", ""},
    {"_-_(double, double) -> double", nullptr, "", ""},
    {"_-_(timestamp, timestamp) -> duration", nullptr, "", ""},
    {"_-_(timestamp, duration) -> timestamp", nullptr, "", ""},
    {"_-_(duration, duration) -> duration", nullptr, "", ""},
    {"_*_(int, int) -> int", nullptr, "The product.", "2 * 3 == 6"},
    {"_*_(uint, uint) -> uint", nullptr, "", ""},
    {"_*_(double, double) -> double", nullptr, "", ""},
    {"_/_(int, int) -> int", nullptr, "The quotient; of integers, cut off towards zero.",
     "7 / 2 == 3"},
    {"_/_(uint, uint) -> uint", nullptr, "", ""},
    {"_/_(double, double) -> double", nullptr, "", ""},
    {"_%_(int, int) -> int", nullptr, "The remainder, with the sign of the dividend.",
     "7 % 2 == 1"},
    {"_%_(uint, uint) -> uint", nullptr, "", ""},
    {"@in(A, list<A>) -> bool", nullptr, "Whether a list has the element, or a map the key.",
     "2 in [1, 2]"},
    {"@in(A, map<A, B>) -> bool", nullptr, "", ""},
    {"_[_](list<A>, int) -> A", nullptr, "An element of a list, from 0; the value of a map's key.",
     "['a', 'b'][1] == 'b'"},
    {"_[_](map<A, B>, A) -> B", nullptr, "", ""},
    {"_[_](optional<list<A>>, int) -> optional<A>", nullptr, "", ""},
    {"_[_](optional<map<A, B>>, A) -> optional<B>", nullptr, "", ""},
    {"_[?_](list<A>, int) -> optional<A>", nullptr, "The element or value as an optional.",
     "[1][?5] == optional.none()"},
    {"_[?_](map<A, B>, A) -> optional<B>", nullptr, "", ""},
    {"_[?_](optional<list<A>>, int) -> optional<A>", nullptr, "", ""},
    {"_[?_](optional<map<A, B>>, A) -> optional<B>", nullptr, "", ""},
};

#undef PENSTOCK_CEL_ORDER

}  // namespace

std::span<const FunctionRow> operator_rows() { return kRows; }

}  // namespace penstock::cel
