#include "cel/json/number.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace penstock::cel {
namespace {

// Beyond this an exponent decides alone, whatever the digits are: a text is shorter.
constexpr std::int64_t kLargestExponent = std::int64_t{1} << 40;

// The parts of DIGITS[.DIGITS][e[±]DIGITS], without the sign.
struct Parts {
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;
};

std::string_view take_digits(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_digit(text[size])) ++size;
  const std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  return digits;
}

Parts split(std::string_view text) {
  Parts parts;
  parts.whole = take_digits(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    parts.fraction = take_digits(text);
  }
  if (text.empty()) return parts;
  text.remove_prefix(1);  // e or E
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  for (const char digit : text) {
    parts.exponent = std::min(parts.exponent * 10 + (digit - '0'), kLargestExponent);
  }
  if (minus) parts.exponent = -parts.exponent;
  return parts;
}

// Adds a digit; false: 64 bits are not enough.
bool append(std::uint64_t& magnitude, unsigned digit) {
  return !__builtin_mul_overflow(magnitude, std::uint64_t{10}, &magnitude) &&
         !__builtin_add_overflow(magnitude, std::uint64_t{digit}, &magnitude);
}

}  // namespace

WholeNumber read_whole_number(std::string_view text) {
  WholeNumber number;
  number.is_negative = text.starts_with('-');
  if (number.is_negative) text.remove_prefix(1);
  const Parts parts = split(text);
  // Digits before the point once the exponent has moved it.
  const std::int64_t before = static_cast<std::int64_t>(parts.whole.size()) + parts.exponent;
  std::int64_t place = 0;
  for (const std::string_view digits : {parts.whole, parts.fraction}) {
    for (const char c : digits) {
      const auto digit = static_cast<unsigned>(c - '0');
      if (place++ >= before) {
        if (digit != 0 && number.verdict == WholeNumber::Verdict::exact) {
          number.verdict = WholeNumber::Verdict::has_fraction;
        }
      } else if (number.verdict == WholeNumber::Verdict::exact &&
                 !append(number.magnitude, digit)) {
        number.verdict = WholeNumber::Verdict::too_large;
      }
    }
  }
  for (; place < before && number.magnitude != 0; ++place) {
    if (number.verdict != WholeNumber::Verdict::exact) break;
    if (!append(number.magnitude, 0)) number.verdict = WholeNumber::Verdict::too_large;
  }
  return number;
}

double nearest_double(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc()) return value;
  // Too large or too small; from_chars() does not say which.
  const bool minus = text.starts_with('-');
  if (minus) text.remove_prefix(1);
  const Parts parts = split(text);
  std::int64_t point = static_cast<std::int64_t>(parts.whole.size()) + parts.exponent;
  if (parts.whole == "0") {
    point = parts.exponent - static_cast<std::int64_t>(std::min(
                                 parts.fraction.find_first_not_of('0'), parts.fraction.size()));
  }
  const double beyond = point > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  return minus ? -beyond : beyond;
}

bool is_not_zero(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find_first_of("eE"));
  return digits.find_first_of("123456789") != std::string_view::npos;
}

}  // namespace penstock::cel
