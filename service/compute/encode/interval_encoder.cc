#include "compute/encode/interval_encoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "cel/json/token.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"

namespace penstock::compute {
namespace {

using cel::is_digit;
using cel::Value;

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
constexpr std::int64_t kMicrosPerHour = 60 * kMicrosPerMinute;

struct Interval {
  std::int64_t micros = 0;
  std::int64_t days = 0;
  std::int64_t months = 0;
};

// What a number of a unit adds: `factor` of one of the three.
struct Unit {
  std::array<std::string_view, 5> names;
  std::int64_t Interval::* part;
  std::int64_t factor;
};

constexpr std::array kUnits{
    Unit{{"years", "year", "y"}, &Interval::months, 12},
    Unit{{"months", "month", "mons", "mon"}, &Interval::months, 1},
    Unit{{"weeks", "week", "w"}, &Interval::days, 7},
    Unit{{"days", "day", "d"}, &Interval::days, 1},
    Unit{{"hours", "hour", "hrs", "hr", "h"}, &Interval::micros, kMicrosPerHour},
    Unit{{"minutes", "minute", "mins", "min", "m"}, &Interval::micros, kMicrosPerMinute},
    Unit{{"seconds", "second", "secs", "sec", "s"}, &Interval::micros, kMicrosPerSecond},
    Unit{{"ms"}, &Interval::micros, 1'000},
    Unit{{"us"}, &Interval::micros, 1}};
// What ISO 8601 has before and behind the T.
constexpr std::array kIsoDateUnits{
    Unit{{"y"}, &Interval::months, 12}, Unit{{"m"}, &Interval::months, 1},
    Unit{{"w"}, &Interval::days, 7}, Unit{{"d"}, &Interval::days, 1}};
constexpr std::array kIsoTimeUnits{Unit{{"h"}, &Interval::micros, kMicrosPerHour},
                                   Unit{{"m"}, &Interval::micros, kMicrosPerMinute},
                                   Unit{{"s"}, &Interval::micros, kMicrosPerSecond}};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads one text, from the left to the right. Units come from the largest to the smallest, each
// once, as everybody writes them: "1 day 2 days" is rather a mistake than three days.
class IntervalReader {
 public:
  explicit IntervalReader(std::string_view text) : text_(text) {}

  // False: it is no interval, or a number in it is too large.
  bool read(Interval& interval) {
    is_iso_ = take('P');
    units_ = is_iso_ ? std::span<const Unit>(kIsoDateUnits) : std::span<const Unit>(kUnits);
    for (bool in_time = false;;) {
      if (is_iso_ && !in_time && take('T')) {
        in_time = true;
        units_ = kIsoTimeUnits;
      }
      if (!take_part(interval)) return false;
      skip_blanks();
      if (text_.empty()) return true;
    }
  }

 private:
  // "-1.5 hours", "+02:03:00".
  bool take_part(Interval& interval) {
    skip_blanks();
    const bool negative = take('-');
    if (!negative) take('+');
    std::int64_t whole = 0;
    std::int64_t millionths = 0;
    bool has_fraction = false;
    if (!take_number(whole, millionths, has_fraction)) return false;
    if (text_.starts_with(':')) {
      return !is_iso_ && !has_fraction && add_clock(whole, negative, interval);
    }
    skip_blanks();
    const Unit* const unit = take_unit();
    return unit != nullptr && add(*unit, whole, millionths, negative, interval);
  }

  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void skip_blanks() {
    while (!is_iso_ && take(' ')) {
    }
  }

  bool take_number(std::int64_t& whole, std::int64_t& millionths, bool& has_fraction) {
    if (text_.empty() || !is_digit(text_[0])) return false;
    const auto [end, status] = std::from_chars(text_.data(), text_.data() + text_.size(), whole);
    if (status != std::errc()) return false;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    has_fraction = text_.starts_with('.') || text_.starts_with(',');
    if (!has_fraction) return true;
    text_.remove_prefix(1);
    std::int64_t unit = 100'000;
    if (text_.empty() || !is_digit(text_[0])) return false;
    for (; !text_.empty() && is_digit(text_[0]); text_.remove_prefix(1), unit /= 10) {
      millionths += (text_[0] - '0') * unit;
    }
    return true;
  }

  // hh:mm or hh:mm:ss.f, of which the hours are read. Nothing follows it.
  bool add_clock(std::int64_t hours, bool negative, Interval& interval) {
    std::int64_t minutes = 0;
    std::int64_t seconds = 0;
    std::int64_t millionths = 0;
    bool has_fraction = false;
    if (!take(':') || !take_number(minutes, millionths, has_fraction) || has_fraction ||
        minutes > 59) {
      return false;
    }
    if (take(':') && (!take_number(seconds, millionths, has_fraction) || seconds > 59)) {
      return false;
    }
    const Unit hour{{}, &Interval::micros, kMicrosPerHour};
    const Unit second{{}, &Interval::micros, kMicrosPerSecond};
    const bool may_follow = std::ranges::contains(units_, kMicrosPerHour, &Unit::factor);
    units_ = {};
    return may_follow && add(hour, hours, 0, negative, interval) &&
           add(second, minutes * 60 + seconds, millionths, negative, interval);
  }

  // The unit that the letters name, if it may stand here.
  const Unit* take_unit() {
    std::array<char, 8> name{};
    std::size_t size = 0;
    const std::size_t longest = is_iso_ ? 1 : name.size();
    while (size < text_.size() && size < longest && is_letter(text_[size])) {
      name[size] = static_cast<char>(text_[size] | 0x20);
      ++size;
    }
    const std::string_view word(name.data(), size);
    text_.remove_prefix(size);
    for (const Unit& unit : units_) {
      for (const std::string_view other : unit.names) {
        if (word.empty() || other != word) continue;
        units_ = units_.subspan(static_cast<std::size_t>(&unit - units_.data()) + 1);
        return &unit;
      }
    }
    return nullptr;
  }

  // A part of a month or a day is not a number of days or seconds.
  static bool add(const Unit& unit, std::int64_t whole, std::int64_t millionths, bool negative,
                  Interval& interval) {
    if (millionths != 0 && unit.part != &Interval::micros) return false;
    std::int64_t amount = 0;
    if (__builtin_mul_overflow(whole, unit.factor, &amount)) return false;
    const std::int64_t fraction = millionths * unit.factor / kMicrosPerSecond;
    if (__builtin_add_overflow(amount, fraction, &amount)) return false;
    return !__builtin_add_overflow(interval.*unit.part, negative ? -amount : amount,
                                   &(interval.*unit.part));
  }

  std::string_view text_;
  std::span<const Unit> units_;  // those that may still come
  bool is_iso_ = false;
};

// PostgreSQL's int32, without its ends: of the three together, PostgreSQL 17 makes infinity. More
// hours than that PostgreSQL 14 takes, but cannot show.
bool fits(std::int64_t number) {
  return number > std::numeric_limits<std::int32_t>::min() &&
         number < std::numeric_limits<std::int32_t>::max();
}

}  // namespace

bool encode_interval(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                     EncodeProblem& problem) {
  Interval interval;
  if (value.is_duration()) {
    const cel::Instant duration = value.as_duration();  // at most 292 years
    interval.micros = duration.seconds * kMicrosPerSecond + duration.nanos / 1000;
  } else if (!value.is_string()) {
    return refuse_type(column, value, problem);
  } else if (!IntervalReader(value.as_string()).read(interval) || !fits(interval.days) ||
             !fits(interval.months) || !fits(interval.micros / kMicrosPerHour)) {
    return refuse(problem, "invalid_interval",
                  "not a span of time such as \"P1DT2H\", \"1 day 02:00:00\" or \"26h\"");
  }
  // interval_recv(): microseconds, days, months.
  constexpr std::int32_t kSize = sizeof(std::int64_t) + 2 * sizeof(std::int32_t);
  char* at = store(out.extend(sizeof(std::int32_t) + kSize), kSize);
  at = store(at, interval.micros);
  at = store(at, static_cast<std::int32_t>(interval.days));
  store(at, static_cast<std::int32_t>(interval.months));
  return true;
}

}  // namespace penstock::compute
