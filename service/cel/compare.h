// Equality and order of values, as CEL defines them.
#pragma once

#include <compare>
#include <cstdint>

#include "cel/value.h"

namespace penstock::cel {

// Exact across int, uint and double: no number is rounded to compare it.
[[nodiscard]] std::partial_ordering compare_numbers(const Value& a, const Value& b) noexcept;

[[nodiscard]] constexpr bool is_number(Kind kind) noexcept {
  return kind == Kind::kInt || kind == Kind::kUint || kind == Kind::kDouble;
}

// Whether `<` and its kin are defined for these two.
[[nodiscard]] bool is_ordered(const Value& a, const Value& b) noexcept;
// Of two values that are ordered; unordered only with NaN.
[[nodiscard]] std::partial_ordering compare(const Value& a, const Value& b) noexcept;

// equal() that gives up: every element compared takes one from `budget`; when it is used up the
// answer is false and `budget` is 0.
[[nodiscard]] bool equal_within(const Value& a, const Value& b, std::uint64_t& budget) noexcept;

}  // namespace penstock::cel
