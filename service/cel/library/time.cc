#include "cel/library/time.h"

#include <array>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace penstock::cel {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kSecondsPerDay = 86'400;
using Wide = __int128;

std::optional<Instant> from_nanos(Wide nanos) {
  const Wide seconds = nanos / kNanosPerSecond;
  if (seconds > std::numeric_limits<std::int64_t>::max() ||
      seconds < std::numeric_limits<std::int64_t>::min()) {
    return std::nullopt;
  }
  return Instant{static_cast<std::int64_t>(seconds),
                 static_cast<std::int32_t>(nanos % kNanosPerSecond)};
}

Wide nanos_of(Instant instant) { return Wide{instant.seconds} * kNanosPerSecond + instant.nanos; }

// Reads exactly `digits` digits.
bool read_number(std::string_view& text, std::size_t digits, std::int64_t* out) {
  if (text.size() < digits) return false;
  std::int64_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  *out = value;
  return true;
}

bool read_char(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

// The fraction after a point as nanoseconds; digits beyond the ninth are cut off.
bool read_fraction(std::string_view& text, std::int64_t* nanos) {
  std::int64_t value = 0;
  std::int64_t unit = kNanosPerSecond / 10;
  std::size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    value += (text[i] - '0') * unit;
    unit /= 10;
  }
  text.remove_prefix(i);
  *nanos = value;
  return i > 0;
}

std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  return std::chrono::sys_days(date).time_since_epoch().count();
}

struct Unit {
  std::string_view name;
  std::int64_t nanos;
};

// Longer names before their prefixes.
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"µs", 1'000},
                                         {"μs", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", kNanosPerSecond},
                                         {"m", 60 * kNanosPerSecond},
                                         {"h", 3'600 * kNanosPerSecond}}};

void append_padded(std::string& out, std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  out.append(width - std::min(width, digits.size()), '0');
  out += digits;
}

void append_fraction(std::string& out, std::int64_t nanos) {
  if (nanos == 0) return;
  out += '.';
  append_padded(out, nanos, 9);
  while (out.back() == '0') out.pop_back();
}

// Of seconds beyond the year 9999: which unit would make the number that was given, so many of
// which were taken for a second, a year of our time.
std::string unit_guess(std::int64_t seconds, std::int64_t per_second) {
  constexpr std::int64_t kFirst = 631'152'000;   // 1990
  constexpr std::int64_t kLast = 4'102'444'800;  // 2100
  struct Guess {
    std::int64_t per_second;
    std::string_view what;
  };
  for (const Guess& guess : {Guess{1'000, "milliseconds: write time.fromMillis(…)"},
                             Guess{1'000'000, "microseconds: write time.fromMicros(…)"},
                             Guess{1'000'000'000, "nanoseconds: write time.fromNanos(…)"}}) {
    if (guess.per_second <= per_second) continue;
    const std::int64_t scaled = seconds / (guess.per_second / per_second);
    if (scaled >= kFirst && scaled <= kLast) {
      return "; the number looks like " + std::string(guess.what);
    }
  }
  return {};
}

}  // namespace

std::optional<Instant> add(Instant a, Instant b) { return from_nanos(nanos_of(a) + nanos_of(b)); }

std::optional<Instant> subtract(Instant a, Instant b) {
  return from_nanos(nanos_of(a) - nanos_of(b));
}

Value make_timestamp(EvalContext& context, std::optional<Instant> instant,
                     std::int64_t per_second) {
  if (instant && instant->nanos < 0) {
    instant->seconds -= 1;
    instant->nanos += static_cast<std::int32_t>(kNanosPerSecond);
  }
  if (!instant || instant->seconds < kFirstSecond || instant->seconds > kLastSecond) {
    return context.fail(ErrorCode::kOutOfRange,
                        {"timestamp out of range: it is not between the years 1 and 9999",
                         instant ? unit_guess(instant->seconds, per_second) : ""});
  }
  return Value::of_timestamp(*instant);
}

Value make_duration(EvalContext& context, std::optional<Instant> instant) {
  if (instant) {
    const Wide nanos = nanos_of(*instant);
    if (nanos <= std::numeric_limits<std::int64_t>::max() &&
        nanos >= std::numeric_limits<std::int64_t>::min()) {
      return Value::of_duration(*instant);
    }
  }
  return context.fail(ErrorCode::kOutOfRange, {"duration out of range: it is beyond 292 years"});
}

std::optional<Instant> parse_timestamp(std::string_view text) {
  std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, nanos = 0;
  const bool ok =
      read_number(text, 4, &year) && read_char(text, '-') && read_number(text, 2, &month) &&
      read_char(text, '-') && read_number(text, 2, &day) && read_char(text, 'T') &&
      read_number(text, 2, &hour) && read_char(text, ':') && read_number(text, 2, &minute) &&
      read_char(text, ':') && read_number(text, 2, &second);
  if (!ok || hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12) return {};
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  if (read_char(text, '.') && !read_fraction(text, &nanos)) return {};
  std::int64_t offset = 0;
  if (!read_char(text, 'Z')) {
    const bool west = read_char(text, '-');
    std::int64_t hours = 0, minutes = 0;
    if ((!west && !read_char(text, '+')) || !read_number(text, 2, &hours) ||
        !read_char(text, ':') || !read_number(text, 2, &minutes) || hours > 23 || minutes > 59) {
      return {};
    }
    offset = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
  }
  if (!text.empty()) return {};
  const std::int64_t seconds = days_from_civil(year, month, day) * kSecondsPerDay + hour * 3600 +
                               minute * 60 + second - offset;
  if (seconds < kFirstSecond || seconds > kLastSecond) return {};
  return Instant{seconds, static_cast<std::int32_t>(nanos)};
}

std::optional<Instant> parse_duration(std::string_view text) {
  const bool negative = read_char(text, '-');
  if (!negative) read_char(text, '+');
  if (text == "0") return Instant{};
  if (text.empty()) return {};
  Wide total = 0;
  while (!text.empty()) {
    std::size_t digits = 0;
    Wide whole = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      if (whole < Wide{1} << 70) whole = whole * 10 + (text[digits] - '0');
      ++digits;
    }
    text.remove_prefix(digits);
    std::int64_t fraction = 0;
    const bool has_fraction = read_char(text, '.');
    const bool fraction_digits = has_fraction && read_fraction(text, &fraction);
    if (digits == 0 && !fraction_digits) return {};
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (!text.starts_with(candidate.name)) continue;
      unit = &candidate;
      break;
    }
    if (unit == nullptr) return {};
    text.remove_prefix(unit->name.size());
    total += whole * unit->nanos + Wide{fraction} * unit->nanos / kNanosPerSecond;
    if (total > Wide{std::numeric_limits<std::int64_t>::max()} + 1) return {};
  }
  if (negative) total = -total;
  if (total > std::numeric_limits<std::int64_t>::max()) return {};
  return from_nanos(total);
}

CivilTime civil_time(std::int64_t seconds) {
  std::int64_t days = seconds / kSecondsPerDay;
  std::int64_t rest = seconds % kSecondsPerDay;
  if (rest < 0) {
    rest += kSecondsPerDay;
    --days;
  }
  const std::chrono::sys_days day{std::chrono::days(days)};
  const std::chrono::year_month_day date{day};
  const std::int64_t first = days_from_civil(int{date.year()}, 1, 1);
  return {int{date.year()},
          static_cast<std::int32_t>(unsigned{date.month()}),
          static_cast<std::int32_t>(unsigned{date.day()}),
          static_cast<std::int32_t>(days - first),
          static_cast<std::int32_t>(std::chrono::weekday{day}.c_encoding()),
          static_cast<std::int32_t>(rest / 3600),
          static_cast<std::int32_t>(rest / 60 % 60),
          static_cast<std::int32_t>(rest % 60)};
}

void append_timestamp(std::string& out, Instant timestamp) {
  const CivilTime time = civil_time(timestamp.seconds);
  append_padded(out, time.year, 4);
  const std::array<std::pair<char, std::int32_t>, 5> parts = {{{'-', time.month},
                                                               {'-', time.day},
                                                               {'T', time.hour},
                                                               {':', time.minute},
                                                               {':', time.second}}};
  for (const auto& [separator, value] : parts) {
    out += separator;
    append_padded(out, value, 2);
  }
  append_fraction(out, timestamp.nanos);
  out += 'Z';
}

void append_duration(std::string& out, Instant duration) {
  const bool negative = duration.seconds < 0 || duration.nanos < 0;
  if (negative) out += '-';
  out += std::to_string(negative ? -duration.seconds : duration.seconds);
  append_fraction(out, negative ? -duration.nanos : duration.nanos);
  out += 's';
}

std::optional<std::int64_t> zone_offset(std::string_view zone, Instant at) {
  if (zone == "UTC" || zone.empty()) return 0;
  if (zone.find(':') != std::string_view::npos) {
    const bool west = read_char(zone, '-');
    if (!west) read_char(zone, '+');
    std::int64_t hours = 0, minutes = 0;
    if (!read_number(zone, 2, &hours) || !read_char(zone, ':') || !read_number(zone, 2, &minutes) ||
        !zone.empty() || hours > 23 || minutes > 59) {
      return std::nullopt;
    }
    return (hours * 60 + minutes) * 60 * (west ? -1 : 1);
  }
  try {
    const std::chrono::time_zone* found = std::chrono::locate_zone(zone);
    const std::chrono::sys_seconds moment{std::chrono::seconds(at.seconds)};
    return found->get_info(moment).offset.count();
  } catch (const std::runtime_error&) {  // no such zone, or no zone data on this machine
    return std::nullopt;
  }
}

}  // namespace penstock::cel
