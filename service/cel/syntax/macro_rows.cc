// What the manual says of the parts of the language that are no functions.
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

constexpr FunctionRow kRows[] = {
    {"bool && bool -> bool", nullptr,
     "And. False if one side is false, even if the other is an error.", "!(false && 1 / 0 > 0)"},
    {"bool || bool -> bool", nullptr,
     "Or. True if one side is true, even if the other is an error.", "true || 1 / 0 > 0"},
    {"has(e.field) -> bool", nullptr,
     "Whether a map or record has the field. Use it before a field that may be missing.",
     "has({'a': 1}.a) && !has({'a': 1}.b)"},
    {"e.?field -> optional(A)", nullptr,
     "The field as an optional: empty if it is missing, or if what should have it is null or an "
     "empty optional.",
     "{'a': 1}.?b.orValue(0) == 0"},
    {"coalesce(e.field, A) -> A", nullptr,
     "The first of its arguments that is there and not null, or the last one; fields on the way "
     "may "
     "be missing or null, too.",
     "coalesce(dyn({'a': null}).a.b, {}.c, 7) == 7"},
    {"[?optional(A)] -> list(A)", nullptr, "An element that is left out if the optional is empty.",
     "[1, ?optional.none(), ?optional.of(3)] == [1, 3]"},
    {"{?key: optional(A)} -> map(K, A)", nullptr,
     "An entry that is left out if the optional is empty.",
     "{'a': 1, ?'b': optional.none()} == {'a': 1}"},
    {"list(A).all(x, bool) -> bool", nullptr,
     "Whether the condition holds for every element. Of a map: for every key.",
     "[1, 2].all(x, x > 0)"},
    {"list(A).all(i, x, bool) -> bool", nullptr, "", ""},
    {"map(K, V).all(k, v, bool) -> bool", nullptr, "", ""},
    {"list(A).exists(x, bool) -> bool", nullptr, "Whether the condition holds for some element.",
     "[1, 2].exists(x, x == 2)"},
    {"list(A).exists(i, x, bool) -> bool", nullptr, "", ""},
    {"map(K, V).exists(k, v, bool) -> bool", nullptr, "", ""},
    {"list(A).existsOne(x, bool) -> bool", nullptr,
     "Whether the condition holds for exactly one element. Also written exists_one.",
     "[1, 2, 2].existsOne(x, x == 1)"},
    {"list(A).existsOne(i, x, bool) -> bool", nullptr, "", ""},
    {"map(K, V).existsOne(k, v, bool) -> bool", nullptr, "", ""},
    {"list(A).filter(x, bool) -> list(A)", nullptr,
     "The elements for which the condition holds. Of a map: the keys.",
     "[1, 2, 3].filter(x, x > 1) == [2, 3]"},
    {"list(A).map(x, B) -> list(B)", nullptr,
     "What the expression gives for every element, or only for those that meet a condition.",
     "[1, 2, 3].map(x, x > 1, x * 10) == [20, 30]"},
    {"list(A).map(x, bool, B) -> list(B)", nullptr, "", ""},
    {"list(A).sortBy(x, key) -> list(A)", nullptr,
     "In the order of what the expression gives for every element.",
     "['ccc', 'a', 'bb'].sortBy(x, x.size()) == ['a', 'bb', 'ccc']"},
    {"list(A).transformList(i, x, B) -> list(B)", nullptr,
     "Like map(), with the element's position too, or a map's key and value.",
     "['a', 'b'].transformList(i, x, x + string(i)) == ['a0', 'b1']"},
    {"map(K, V).transformList(k, v, B) -> list(B)", nullptr, "", ""},
    {"list(A).transformMap(i, x, B) -> map(int, B)", nullptr,
     "A map with the same keys and what the expression gives for every value; with a condition "
     "before the expression, only the entries that meet it.",
     "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10) == {'b': 20}"},
    {"map(K, V).transformMap(k, v, B) -> map(K, B)", nullptr, "", ""},
    {"list(A).transformMapEntry(i, x, {key: value}) -> map(K, B)", nullptr,
     "A map of the entries that the expression gives; a key that comes twice is an error.",
     "['x', 'y'].transformMapEntry(i, x, {x: i}) == {'x': 0, 'y': 1}"},
    {"map(K, V).transformMapEntry(k, v, {key: value}) -> map(L, B)", nullptr, "", ""},
    {"optional(A).optMap(x, B) -> optional(B)", nullptr,
     "What the expression gives for the value, as an optional; empty if there is none.",
     "{'a': 2}.?a.optMap(x, x * 10).value() == 20"},
    {"optional(A).optFlatMap(x, optional(B)) -> optional(B)", nullptr,
     "The same for an expression that gives an optional itself.",
     "{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).value() == 1"},
    {"cel.bind(x, A, B) -> B", nullptr, "An expression with a name for a value in it.",
     "cel.bind(x, 2 + 3, x * x) == 25"},
    {"cel.block(list(A), B) -> B", nullptr,
     "For programs that write expressions: cel.index(0) is the first value of the list, and so on.",
     "cel.block([1 + 1, cel.index(0) * 2], cel.index(1)) == 4"},
};

}  // namespace

std::span<const FunctionRow> macro_rows() { return kRows; }

}  // namespace penstock::cel
