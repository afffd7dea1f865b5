// The functions and operators of the language: one table row each, from which the checker's
// overloads, the dispatch at run time, the hints in messages and the reference manual are made.
//
// Adding a function: one row in the table of the file it belongs to, its implementation beside it.
//
// Threads: the tables are built once, on first use, and immutable.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/eval_context.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::cel {

// `args` has the kinds of the overload's parameters: neither errors nor absent inputs.
// nullptr for what the evaluator does itself (operators).
using Implementation = Value (*)(EvalContext& context, std::span<const Value> args);

struct FunctionRow {
  // "string.charAt(int) -> string"; capital letters are type parameters.
  std::string_view signature;
  Implementation implementation;
  std::string_view sentence;  // for the manual; empty: like the row above
  std::string_view example;   // an expression that is true
  // Its first argument may also be a part of a document that is no value, such as 1e400.
  bool takes_json = false;
};

// A signature or a part of it as people write it: "list(A)" for "list<A>".
[[nodiscard]] std::string with_parentheses(std::string_view signature);

inline constexpr std::size_t kMaxParameters = 4;

struct Overload {
  std::string_view signature;
  bool is_method = false;
  std::vector<Type> parameters;  // the receiver first
  Type result;
  std::array<std::uint32_t, kMaxParameters> kinds{};  // bit masks of Kind, per parameter
  Implementation implementation = nullptr;
};

struct Function {
  std::string name;  // "charAt", "math.greatest", "_+_"
  std::vector<Overload> overloads;
  bool is_declared = false;  // by a host, without an implementation
};

// nullptr: there is none.
[[nodiscard]] const Function* find_function(std::string_view name);
[[nodiscard]] std::span<const Function> all_functions();
// The tables under their titles, in the manual's order.
struct FunctionGroup {
  std::string_view title;
  std::span<const FunctionRow> rows;
  // Its signatures are for people only: macros and what else the parser knows by itself.
  bool is_written_out = false;
};
[[nodiscard]] std::span<const FunctionGroup> function_groups();

// Bit of one kind.
[[nodiscard]] constexpr std::uint32_t kind_bit(Kind kind) noexcept {
  return std::uint32_t{1} << static_cast<unsigned>(kind);
}
inline constexpr std::uint32_t kAnyKind =
    ~(kind_bit(Kind::kError) | kind_bit(Kind::kAbsent) | kind_bit(Kind::kJson));

// The kind of the values of a type; kAnyKind for dyn and parameters.
[[nodiscard]] std::uint32_t kinds_of(const Type& type) noexcept;

// The type whose name is a value in expressions ("int", "google.protobuf.Timestamp").
// Dyn with *found false: there is none.
[[nodiscard]] Type type_named(std::string_view name, bool* found);

// The tables.
[[nodiscard]] std::span<const FunctionRow> operator_rows();
[[nodiscard]] std::span<const FunctionRow> macro_rows();
[[nodiscard]] std::span<const FunctionRow> conversion_rows();
[[nodiscard]] std::span<const FunctionRow> string_rows();
[[nodiscard]] std::span<const FunctionRow> time_rows();
[[nodiscard]] std::span<const FunctionRow> time_parse_rows();
[[nodiscard]] std::span<const FunctionRow> collection_rows();
[[nodiscard]] std::span<const FunctionRow> math_rows();
[[nodiscard]] std::span<const FunctionRow> optional_rows();
[[nodiscard]] std::span<const FunctionRow> encoder_rows();
[[nodiscard]] std::span<const FunctionRow> network_rows();
[[nodiscard]] std::span<const FunctionRow> regex_rows();
[[nodiscard]] std::span<const FunctionRow> json_rows();
[[nodiscard]] std::span<const FunctionRow> url_rows();
[[nodiscard]] std::span<const FunctionRow> hash_rows();

}  // namespace penstock::cel
