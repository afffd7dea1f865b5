#include "cel/library/time_text.h"

#include <algorithm>
#include <chrono>

#include "cel/library/time.h"

namespace penstock::cel {
namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;
// PostgreSQL's MAX_TZDISP_HOUR; no zone has ever had more.
constexpr std::int64_t kOffsetBelow = std::int64_t{16} * 3'600;
constexpr std::string_view kNoTime =
    "it is not a time such as \"2024-02-29T12:30:00Z\" or \"2024-02-29 12:30:00+01\"";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes exactly `count` digits; -1: there is something else.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return -1;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool take_word(std::string_view& text, std::string_view upper) {
  const bool is_there = text.size() >= upper.size() &&
                        std::ranges::equal(text.substr(0, upper.size()), upper, [](char a, char b) {
                          return (a >= 'a' ? a - ('a' - 'A') : a) == b;
                        });
  if (is_there) text.remove_prefix(upper.size());
  return is_there;
}

bool take_blanks(std::string_view& text) {
  const std::size_t blanks = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(blanks);
  return blanks > 0;
}

void take_fraction(std::string_view& text, std::int32_t& nanos) {
  std::int32_t unit = 100'000'000;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), unit /= 10) {
    nanos += (text[0] - '0') * unit;
  }
}

std::string_view take_date(std::string_view& text, std::int64_t& days) {
  const int year = take_digits(text, 4);
  const bool dashed = take(text, '-');
  const int month = year < 0 ? -1 : take_digits(text, 2);
  if (month < 0 || (dashed && !take(text, '-'))) return kNoTime;
  const int day = take_digits(text, 2);
  if (day < 0) return kNoTime;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || year < 1) return "there is no such day in the years 1 to 9999";
  days = std::chrono::sys_days(date).time_since_epoch().count();
  return {};
}

// The format of time.parse() for a text that read_time_text() reads and that has no offset.
std::string format_of(std::string_view text) {
  const bool dashed = text.size() > 4 && text[4] == '-';
  std::string format = dashed ? "%Y-%m-%d" : "%Y%m%d";
  text.remove_prefix(dashed ? 10 : 8);
  if (text.empty()) return format;
  const std::size_t hour = text.find_first_of("0123456789");
  format += text.substr(0, hour);
  text.remove_prefix(hour + 2);
  const bool with_colons = text.starts_with(':');
  format += with_colons ? "%H:%M" : "%H%M";
  text.remove_prefix(with_colons ? 3 : 2);
  if (text.empty() || text.starts_with(' ')) return format;
  format += with_colons ? ":%S" : "%S";
  text.remove_prefix(with_colons ? 3 : 2);
  if (!text.empty() && !text.starts_with(' ')) format += std::string(text.substr(0, 1)) + "%f";
  return format;
}

}  // namespace

bool take_time_of_day(std::string_view& text, TimeText& time) {
  std::string_view rest = text;
  const int hour = take_digits(rest, 2);
  const bool with_colons = take(rest, ':');
  const int minute = hour < 0 ? -1 : take_digits(rest, 2);
  int second = 0;
  std::int32_t nanos = 0;
  const bool has_seconds = with_colons ? take(rest, ':') : !rest.empty() && is_digit(rest[0]);
  if (has_seconds) second = take_digits(rest, 2);
  if (has_seconds && second >= 0 && (rest.starts_with('.') || rest.starts_with(','))) {
    if (rest.size() < 2 || !is_digit(rest[1])) return false;
    rest.remove_prefix(1);
    take_fraction(rest, nanos);
  }
  // A leap second is the next minute's first.
  if (minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (hour > 24 || (hour == 24 && (minute != 0 || second != 0 || nanos != 0))) return false;
  time.seconds += (hour * 60 + minute) * 60 + second;
  time.nanos = nanos;
  time.has_time = true;
  text = rest;
  return true;
}

bool take_offset(std::string_view& text, TimeText& time) {
  if (text.empty()) return true;
  time.has_offset = true;
  if (take_word(text, "Z") || take_word(text, "UTC") || take_word(text, "GMT")) return true;
  const bool west = text[0] == '-';
  if (!west && text[0] != '+') return false;
  text.remove_prefix(1);
  const int hours = take_digits(text, 2);
  int minutes = 0;
  int seconds = 0;
  const bool with_colons = take(text, ':');
  if (with_colons || (!text.empty() && is_digit(text[0]))) minutes = take_digits(text, 2);
  if (with_colons && take(text, ':')) seconds = take_digits(text, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59) {
    return false;
  }
  time.offset_seconds = (hours * 60 + minutes) * 60 + seconds;
  if (west) time.offset_seconds = -time.offset_seconds;
  return true;
}

std::string_view read_time_text(std::string_view text, TimeText& time) {
  std::int64_t days = 0;
  if (const std::string_view problem = take_date(text, days); !problem.empty()) return problem;
  time.days = days;
  time.seconds = days * kSecondsPerDay;
  if (text.empty()) return {};
  if (!take_word(text, "T") && !take_blanks(text)) return kNoTime;
  if (!take_time_of_day(text, time)) return "there is no such time of day";
  take_blanks(text);
  if (!take_offset(text, time)) {
    return "what follows the time is no offset from UTC such as \"Z\" or \"+02:00\"";
  }
  if (time.offset_seconds <= -kOffsetBelow || time.offset_seconds >= kOffsetBelow) {
    return "its offset from UTC is not below 16 hours";
  }
  if (time.has_offset && text.starts_with('[') && text.find(']') == text.size() - 1) return {};
  return text.empty() ? std::string_view() : kNoTime;
}

bool is_in_years(const TimeText& time) {
  const std::int64_t seconds = time.seconds - time.offset_seconds;
  return seconds >= kFirstSecond && seconds <= kLastSecond;
}

std::string time_text_hint(std::string_view text) {
  TimeText time;
  if (read_time_text(text, time).empty()) {
    std::string hint =
        "time.parse(…, \"" + format_of(text) + "\", \"Europe/Berlin\") reads it in a time zone";
    if (time.has_time) hint += ", and time.parse(… + \"Z\") as UTC";
    return hint;
  }
  const bool is_numeric =
      !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
  const auto points = std::ranges::count(text, '.');
  if (is_numeric && points == 0 && text.size() == 14) {
    return "time.parse(…, \"%Y%m%d%H%M%S\", \"Europe/Berlin\") reads it in a time zone";
  }
  if (is_numeric && points == 2)
    return "time.parse(…, \"%d.%m.%Y\", \"UTC\") reads a date like this";
  if (is_numeric && points < 2) {
    return "time.fromSeconds(double(…)) and time.fromMillis(int(…)) read numbers that count from "
           "1970";
  }
  return "time.parse(…, \"%d/%b/%Y:%H:%M:%S %z\") reads other forms";
}

}  // namespace penstock::cel
