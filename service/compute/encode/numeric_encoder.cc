#include "compute/encode/numeric_encoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <format>
#include <string>

#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"

namespace penstock::compute {
namespace {

// numeric.c: NUMERIC_POS, NUMERIC_NEG, NUMERIC_NAN, NUMERIC_PINF, NUMERIC_NINF.
constexpr std::uint16_t kPositive = 0x0000;
constexpr std::uint16_t kNegative = 0x4000;
constexpr std::uint16_t kNan = 0xC000;
constexpr std::uint16_t kInfinity = 0xD000;
constexpr std::uint16_t kMinusInfinity = 0xF000;

constexpr std::int64_t kMaxDigitsBefore = 131'072;
constexpr std::int64_t kMaxDigitsBehind = 16'383;
// Beyond this, an exponent is out of range whatever the digits are.
constexpr std::int64_t kMaxExponent = 1'000'000;

// 0.DIGITS × 10^point, shown with `scale` digits behind the decimal point.
struct Decimal {
  std::string_view digits;  // '0'…'9'; neither first nor last is '0'; empty: zero
  std::int64_t point = 0;
  std::int64_t scale = 0;
  bool negative = false;
};

void trim_zeros(Decimal& decimal) {
  const std::size_t first = decimal.digits.find_first_not_of('0');
  if (first == std::string_view::npos) {
    decimal.digits = {};
    decimal.point = 0;
    return;
  }
  decimal.point -= static_cast<std::int64_t>(first);
  decimal.digits.remove_prefix(first);
  decimal.digits.remove_suffix(decimal.digits.size() - 1 - decimal.digits.find_last_not_of('0'));
}

void write_special(std::uint16_t sign, FieldBuffer& out) {
  char* at = store(out.extend(12), std::int32_t{8});
  at = store(at, std::int32_t{0});  // no digits, no weight
  store(store(at, sign), std::uint16_t{0});
}

void write_decimal(const Decimal& decimal, FieldBuffer& out) {
  const auto size = static_cast<std::int64_t>(decimal.digits.size());
  // Groups of four digits, aligned at the decimal point; the first one may be short.
  const std::int64_t weight =
      size == 0 ? 0 : (decimal.point + kMaxDigitsBehind * 4 - 1) / 4 - kMaxDigitsBehind;
  const std::int64_t lead = size == 0 ? 0 : weight * 4 + 4 - decimal.point;  // zeros before it
  const std::int64_t groups = (lead + size + 3) / 4;
  char* at = out.extend(static_cast<std::size_t>(12 + 2 * groups));
  at = store(at, static_cast<std::int32_t>(8 + 2 * groups));
  at = store(at, static_cast<std::int16_t>(groups));
  at = store(at, static_cast<std::int16_t>(weight));
  at = store(at, decimal.negative && size > 0 ? kNegative : kPositive);
  at = store(at, static_cast<std::int16_t>(decimal.scale));
  for (std::int64_t group = 0; group < groups; ++group) {
    int number = 0;
    for (std::int64_t i = group * 4 - lead; i < group * 4 - lead + 4; ++i) {
      const bool inside = i >= 0 && i < size;
      number = number * 10 + (inside ? decimal.digits[static_cast<std::size_t>(i)] - '0' : 0);
    }
    at = store(at, static_cast<std::int16_t>(number));
  }
}

// Rounds to `scale` digits behind the point, half away from zero. `storage` keeps the result.
void round_to(Decimal& decimal, std::int64_t scale, std::string& storage) {
  const std::int64_t keep = decimal.point + scale;
  if (keep >= static_cast<std::int64_t>(decimal.digits.size())) return;
  if (keep < 0 || (keep == 0 && decimal.digits[0] < '5')) {
    decimal.digits = {};
    decimal.point = 0;
    return;
  }
  const bool up = decimal.digits[static_cast<std::size_t>(keep)] >= '5';
  storage.assign(1, '0');  // for the carry
  storage += decimal.digits.substr(0, static_cast<std::size_t>(keep));
  if (up) {
    std::size_t i = storage.size() - 1;
    while (storage[i] == '9') storage[i--] = '0';
    ++storage[i];
  }
  decimal.digits = storage;
  ++decimal.point;
  trim_zeros(decimal);
}

bool fits(const Decimal& decimal) {
  return decimal.scale <= kMaxDigitsBehind && decimal.point <= kMaxDigitsBefore;
}

bool finish(const ColumnDescription& column, Decimal decimal, FieldBuffer& out,
            EncodeProblem& problem) {
  trim_zeros(decimal);
  if (column.numeric_precision < 0) {
    if (!fits(decimal))
      return refuse(problem, "out_of_range", "the number has too many digits for numeric");
    write_decimal(decimal, out);
    return true;
  }
  round_to(decimal, column.numeric_scale, out.digits);
  decimal.scale = std::max(column.numeric_scale, 0);
  const int before = column.numeric_precision - column.numeric_scale;
  if (!decimal.digits.empty() && decimal.point > before) {
    return refuse(
        problem, "out_of_range",
        std::format("the number is too large for {}: its absolute value must be less than "
                    "10^{}",
                    column.type_name, before));
  }
  write_decimal(decimal, out);
  return true;
}

bool finish_infinity(const ColumnDescription& column, bool negative, FieldBuffer& out,
                     EncodeProblem& problem) {
  if (column.numeric_precision >= 0) {
    return refuse(problem, "out_of_range",
                  std::format("{} cannot hold an infinite value", column.type_name));
  }
  write_special(negative ? kMinusInfinity : kInfinity, out);
  return true;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
}

std::size_t count_digits(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789");
  return end == std::string_view::npos ? text.size() : end;
}

// DIGITS[.DIGITS][e[±]DIGITS] or .DIGITS…; `storage` keeps the digits if there is a point.
bool read_decimal(std::string_view text, Decimal& decimal, std::string& storage) {
  const std::size_t before = count_digits(text);
  decimal.digits = text.substr(0, before);
  decimal.point = static_cast<std::int64_t>(before);
  text.remove_prefix(before);
  std::size_t behind = 0;
  if (text.starts_with('.')) {
    behind = count_digits(text.substr(1));
    storage.assign(decimal.digits);
    storage += text.substr(1, behind);
    decimal.digits = storage;
    text.remove_prefix(1 + behind);
  }
  if (before + behind == 0) return false;
  std::int64_t exponent = 0;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    const bool minus = text.starts_with('-');
    if (minus || text.starts_with('+')) text.remove_prefix(1);
    if (text.empty() || count_digits(text) != text.size()) return false;
    for (const char c : text) exponent = std::min(exponent * 10 + (c - '0'), kMaxExponent);
    if (minus) exponent = -exponent;
    text = {};
  }
  decimal.point += exponent;
  decimal.scale = std::max(static_cast<std::int64_t>(behind) - exponent, std::int64_t{0});
  return text.empty();
}

template <typename Integer>
bool encode_integer(const ColumnDescription& column, Integer number, FieldBuffer& out,
                    EncodeProblem& problem) {
  std::array<char, 24> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  Decimal decimal;
  decimal.digits = {text.data(), end};
  decimal.negative = number < 0;
  if (decimal.negative) decimal.digits.remove_prefix(1);
  decimal.point = static_cast<std::int64_t>(decimal.digits.size());
  return finish(column, decimal, out, problem);
}

}  // namespace

bool fits_numeric(std::string_view number) {
  if (number.starts_with('-')) number.remove_prefix(1);
  Decimal decimal;
  std::string storage;
  if (!read_decimal(number, decimal, storage)) return false;
  trim_zeros(decimal);
  return fits(decimal);
}

bool encode_numeric(const ColumnDescription& column, std::int64_t number, FieldBuffer& out,
                    EncodeProblem& problem) {
  return encode_integer(column, number, out, problem);
}

bool encode_numeric(const ColumnDescription& column, std::uint64_t number, FieldBuffer& out,
                    EncodeProblem& problem) {
  return encode_integer(column, number, out, problem);
}

bool encode_numeric(const ColumnDescription& column, double number, FieldBuffer& out,
                    EncodeProblem& problem) {
  if (std::isnan(number)) {
    write_special(kNan, out);
    return true;
  }
  if (std::isinf(number)) return finish_infinity(column, number < 0, out, problem);
  std::array<char, 32> text;
  const char* const end =
      // In the other format large ones have digits that the double does not stand for.
      std::to_chars(text.data(), text.data() + text.size(), std::abs(number),
                    std::chars_format::scientific)
          .ptr;
  Decimal decimal;
  [[maybe_unused]] const bool ok = read_decimal({text.data(), end}, decimal, out.text);
  decimal.negative = number < 0;
  return finish(column, decimal, out, problem);
}

bool encode_numeric(const ColumnDescription& column, std::string_view text, FieldBuffer& out,
                    EncodeProblem& problem) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  if (equals_ignoring_case(text, "nan")) {
    write_special(kNan, out);
    return true;
  }
  Decimal decimal;
  decimal.negative = text.starts_with('-');
  if (decimal.negative || text.starts_with('+')) text.remove_prefix(1);
  if (equals_ignoring_case(text, "infinity") || equals_ignoring_case(text, "inf")) {
    return finish_infinity(column, decimal.negative, out, problem);
  }
  if (!read_decimal(text, decimal, out.text)) {
    return refuse(problem, "invalid_numeric",
                  "the text is not a decimal number such as \"-12.50\"");
  }
  return finish(column, decimal, out, problem);
}

}  // namespace penstock::compute
