// The text of a number of a document: what it says beyond the int, uint or double that it became.
//
// Place in the flow: the reader leaves the text's place in the value (Value::number_text()); what
// writes the value into a column, or holds it to a declared type, reads it here.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "cel/json/token.h"
#include "cel/value.h"

namespace penstock::cel {

// As it stands in the document: JSON's grammar. Empty: the number was computed.
[[nodiscard]] inline std::string_view text_of_number(const Value& number) {
  const char* const begin = number.number_text();
  if (begin == nullptr) return {};
  const char* const end = skip_number(begin);
  return {begin, end == nullptr ? begin : end};
}

// The same number as a whole one.
struct WholeNumber {
  enum class Verdict : std::uint8_t { exact, has_fraction, too_large };

  Verdict verdict = Verdict::exact;
  std::uint64_t magnitude = 0;  // of a number with a fraction: without it
  bool is_negative = false;

  // Cut off towards zero.
  [[nodiscard]] WholeNumber without_fraction() const {
    return {verdict == Verdict::has_fraction ? Verdict::exact : verdict, magnitude, is_negative};
  }
  [[nodiscard]] bool fits_int() const {
    return verdict == Verdict::exact &&
           magnitude <= static_cast<std::uint64_t>(INT64_MAX) + (is_negative ? 1 : 0);
  }
  [[nodiscard]] bool fits_uint() const {
    return verdict == Verdict::exact && (!is_negative || magnitude == 0);
  }
  [[nodiscard]] std::int64_t as_int() const {  // fits_int()
    return static_cast<std::int64_t>(is_negative ? 0 - magnitude : magnitude);
  }
};

// Of a number by JSON's grammar: "9007199254740993.0", "1e3", "-0".
[[nodiscard]] WholeNumber read_whole_number(std::string_view text);

// The nearest double; infinite or zero where the number is beyond what doubles reach.
[[nodiscard]] double nearest_double(std::string_view text);
// A digit of it is not 0.
[[nodiscard]] bool is_not_zero(std::string_view text);

}  // namespace penstock::cel
