#include "config/scalars.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace penstock::config {
namespace {

using std::chrono::nanoseconds;

constexpr std::int64_t kSecond = 1'000'000'000;
// Largest first, as they are written.
constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kDurationUnits{{
    {"h", 3600 * kSecond},
    {"m", 60 * kSecond},
    {"s", kSecond},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
}};
constexpr std::int64_t kLongestDuration = 10'000LL * 24 * 3600 * kSecond;

constexpr std::uint64_t kKi = 1024;
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 9> kSizeUnits{{
    {"tib", kKi* kKi* kKi* kKi},
    {"gib", kKi* kKi* kKi},
    {"mib", kKi* kKi},
    {"kib", kKi},
    {"tb", 1'000'000'000'000},
    {"gb", 1'000'000'000},
    {"mb", 1'000'000},
    {"kb", 1'000},
    {"b", 1},
}};
constexpr std::array<std::string_view, 4> kBinaryUnitNames{"TiB", "GiB", "MiB", "KiB"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes "12" or "12.5" off the front; exact, as a numerator over a power of ten.
struct Decimal {
  std::uint64_t digits = 0;
  std::uint64_t scale = 1;
};
std::optional<Decimal> take_decimal(std::string_view& text) {
  Decimal number;
  std::size_t at = 0;
  bool point = false;
  bool any = false;
  for (; at < text.size() && (is_digit(text[at]) || text[at] == '.'); ++at) {
    if (text[at] == '.') {
      if (point || !any) return std::nullopt;
      point = true;
      continue;
    }
    any = true;
    if (number.digits > (std::numeric_limits<std::uint64_t>::max() - 9) / 10) return std::nullopt;
    number.digits = number.digits * 10 + static_cast<std::uint64_t>(text[at] - '0');
    if (point) {
      if (number.scale >= 1'000'000'000'000ULL) return std::nullopt;
      number.scale *= 10;
    }
  }
  if (!any || text[at - 1] == '.') return std::nullopt;
  text.remove_prefix(at);
  return number;
}

// number × unit, or nullopt when it is not whole or too large.
std::optional<std::uint64_t> times(const Decimal& number, std::uint64_t unit) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{number.digits} * unit;
  if (product % number.scale != 0) return std::nullopt;
  const Wide value = product / number.scale;
  if (value > std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<nanoseconds> parse_duration(std::string_view text) {
  text = trim(text);
  if (text == "0") return nanoseconds{0};
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::int64_t last_unit = std::numeric_limits<std::int64_t>::max();
  while (!text.empty()) {
    const std::optional<Decimal> number = take_decimal(text);
    if (!number) return std::nullopt;
    std::size_t length = 0;
    while (length < text.size() && text[length] >= 'a' && text[length] <= 'z') ++length;
    const auto unit = std::ranges::find(kDurationUnits, text.substr(0, length),
                                        [](const auto& pair) { return pair.first; });
    if (unit == kDurationUnits.end() || unit->second >= last_unit) return std::nullopt;
    last_unit = unit->second;
    text.remove_prefix(length);
    const auto part = times(*number, static_cast<std::uint64_t>(unit->second));
    if (!part || *part > static_cast<std::uint64_t>(kLongestDuration - total)) return std::nullopt;
    total += static_cast<std::int64_t>(*part);
  }
  return nanoseconds{total};
}

std::string format_duration(nanoseconds duration) {
  std::int64_t rest = duration.count();
  if (rest <= 0) return "0s";
  std::string text;
  for (const auto& [name, unit] : kDurationUnits) {
    if (rest >= unit) {
      text += std::to_string(rest / unit);
      text += name;
      rest %= unit;
    }
  }
  return text;
}

std::optional<std::uint64_t> parse_size_bytes(std::string_view text) {
  text = trim(text);
  if (const auto plain = parse_unsigned(text)) return plain;
  const std::optional<Decimal> number = take_decimal(text);
  if (!number) return std::nullopt;
  std::string unit(trim(text));
  std::ranges::transform(unit, unit.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto found =
      std::ranges::find(kSizeUnits, unit, [](const auto& pair) { return pair.first; });
  if (found == kSizeUnits.end()) return std::nullopt;
  return times(*number, found->second);
}

std::string format_size_bytes(std::uint64_t bytes) {
  for (std::size_t i = 0; i < kBinaryUnitNames.size(); ++i) {
    const std::uint64_t unit = kSizeUnits[i].second;
    if (bytes != 0 && bytes % unit == 0) {
      return std::to_string(bytes / unit).append(kBinaryUnitNames[i]);
    }
  }
  return std::to_string(bytes);
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && i > 0 && i + 1 < text.size() && is_digit(text[i - 1]) &&
        is_digit(text[i + 1])) {
      continue;
    }
    digits += text[i];
  }
  if (digits.empty() || !is_digit(digits[0])) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

nanoseconds to_chrono(const google::protobuf::Duration& duration) {
  return std::chrono::seconds{duration.seconds()} + nanoseconds{duration.nanos()};
}

void set_duration(google::protobuf::Duration& duration, nanoseconds value) {
  duration.set_seconds(value.count() / kSecond);
  duration.set_nanos(static_cast<std::int32_t>(value.count() % kSecond));
}

}  // namespace penstock::config
