// Equality and order of values, as CEL defines them.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cel/value.h"

namespace penstock::cel {

// a == b. Names and codes are short: up to 16 bytes take two loads instead of a call, whose vectors
// also stumble over text at the end of a page.
[[nodiscard]] inline bool same_text(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  const auto same_words = [&]<typename Word>(Word) {
    Word words[4];
    std::memcpy(&words[0], a.data(), sizeof(Word));
    std::memcpy(&words[1], b.data(), sizeof(Word));
    std::memcpy(&words[2], a.data() + size - sizeof(Word), sizeof(Word));
    std::memcpy(&words[3], b.data() + size - sizeof(Word), sizeof(Word));
    return words[0] == words[1] && words[2] == words[3];
  };
  if (size != b.size()) return false;
  if (size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  if (size >= 8) return same_words(std::uint64_t{});
  if (size >= 4) return same_words(std::uint32_t{});
  if (size >= 2) return same_words(std::uint16_t{});
  return size == 0 || a[0] == b[0];
}

// An int or uint against a double is compared as a double, rounded from 2^53 on: double(a) <=> b.
// This is how the specification's suite has it.
[[nodiscard]] std::partial_ordering compare_numbers(const Value& a, const Value& b) noexcept;

[[nodiscard]] constexpr bool is_number(Kind kind) noexcept {
  return kind == Kind::kInt || kind == Kind::kUint || kind == Kind::kDouble;
}

// Whether they are the same key of a map: no number is rounded here, since what is equal to a
// rounded number need not be equal to each other.
[[nodiscard]] bool same_key(const Value& a, const Value& b) noexcept;

// Whether `<` and its kin are defined for these two.
[[nodiscard]] bool is_ordered(const Value& a, const Value& b) noexcept;
// Of two values that are ordered; unordered only with NaN.
[[nodiscard]] std::partial_ordering compare(const Value& a, const Value& b) noexcept;

// equal() that gives up: every element compared takes one from `budget`; when it is used up the
// answer is false and `budget` is 0.
[[nodiscard]] bool equal_within(const Value& a, const Value& b, std::uint64_t& budget) noexcept;

}  // namespace penstock::cel
