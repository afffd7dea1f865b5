#include "compute/encode/time_encoder.h"

#include <cstdint>

#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"

namespace penstock::compute {
namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;
// 2000-01-01T00:00:00Z, where PostgreSQL begins to count, in Unix time.
constexpr std::int64_t kEpochSeconds = 946'684'800;
// 0001-01-01 and 9999-12-31T23:59:59: what RFC 3339 and CEL can say. PostgreSQL can say more.
constexpr std::int64_t kMinSeconds = -62'135'596'800;
constexpr std::int64_t kMaxSeconds = 253'402'300'799;

// Reads `count` digits at `at`; -1: there is something else.
int read_digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int number = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    const auto digit = static_cast<unsigned char>(text[i] - '0');
    if (digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

bool is_at(std::string_view text, std::size_t at, char c) {
  return at < text.size() && text[at] == c;
}

int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
std::int64_t days_from_civil(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return std::int64_t{era} * 146'097 + day_of_era - 719'468;
}

// "YYYY-MM-DD" at the beginning, as days since 1970-01-01.
bool read_date(std::string_view text, std::int64_t& days) {
  const int year = read_digits(text, 0, 4);
  const int month = read_digits(text, 5, 2);
  const int day = read_digits(text, 8, 2);
  if (!is_at(text, 4, '-') || !is_at(text, 7, '-')) return false;
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) {
    return false;
  }
  days = days_from_civil(year, month, day);
  return true;
}

struct ParsedTime {
  std::int64_t seconds = 0;  // since 1970-01-01, as written
  std::int64_t micros = 0;
  std::int64_t offset_seconds = 0;
  bool has_offset = false;
};

bool read_fraction(std::string_view text, std::size_t& at, std::int64_t& micros) {
  std::size_t digits = 0;
  for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, ++digits) {
    if (digits < 6) micros = micros * 10 + (text[at] - '0');
  }
  for (std::size_t i = digits; i < 6; ++i) micros *= 10;
  return digits > 0;
}

bool read_offset(std::string_view text, std::size_t& at, ParsedTime& time) {
  if (text[at] == 'Z' || text[at] == 'z') {
    ++at;
  } else if (text[at] == '+' || text[at] == '-') {
    const int hours = read_digits(text, at + 1, 2);
    const int minutes = read_digits(text, at + 4, 2);
    if (!is_at(text, at + 3, ':') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
      return false;
    }
    time.offset_seconds = (hours * 60 + minutes) * 60;
    if (text[at] == '-') time.offset_seconds = -time.offset_seconds;
    at += 6;
  } else {
    return false;
  }
  time.has_offset = true;
  return true;
}

bool read_time(std::string_view text, ParsedTime& time) {
  std::int64_t days = 0;
  if (!read_date(text, days)) return false;
  if (!is_at(text, 10, 'T') && !is_at(text, 10, 't') && !is_at(text, 10, ' ')) return false;
  const int hour = read_digits(text, 11, 2);
  const int minute = read_digits(text, 14, 2);
  const int second = read_digits(text, 17, 2);
  if (!is_at(text, 13, ':') || !is_at(text, 16, ':')) return false;
  // A leap second is the next minute's first, as in PostgreSQL.
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  time.seconds = days * kSecondsPerDay + (hour * 60 + minute) * 60 + second;
  std::size_t at = 19;
  if (is_at(text, at, '.') && !read_fraction(text, at, time.micros)) return false;
  if (at < text.size() && !read_offset(text, at, time)) return false;
  return at == text.size();
}

void write_micros(std::int64_t unix_seconds, std::int64_t micros, FieldBuffer& out) {
  write_field(out, (unix_seconds - kEpochSeconds) * kMicrosPerSecond + micros);
}

}  // namespace

bool encode_timestamp(cel::Instant instant, FieldBuffer& out, EncodeProblem& problem) {
  if (instant.seconds < kMinSeconds || instant.seconds > kMaxSeconds) {
    return refuse(problem, "out_of_range", "the timestamp is not between the years 1 and 9999");
  }
  write_micros(instant.seconds, instant.nanos / 1000, out);
  return true;
}

bool encode_timestamp(std::string_view text, bool offset_may_lack, FieldBuffer& out,
                      EncodeProblem& problem) {
  ParsedTime time;
  if (!read_time(text, time)) {
    return refuse(problem, "invalid_timestamp",
                  "not a timestamp as RFC 3339 has it, such as \"2024-02-29T12:30:00Z\"");
  }
  if (!time.has_offset && !offset_may_lack) {
    return refuse(problem, "invalid_timestamp",
                  "the timestamp has no offset from UTC, such as \"Z\" or \"+02:00\"");
  }
  write_micros(time.seconds - time.offset_seconds, time.micros, out);
  return true;
}

bool encode_date(cel::Instant instant, FieldBuffer& out, EncodeProblem& problem) {
  if (instant.seconds < kMinSeconds || instant.seconds > kMaxSeconds) {
    return refuse(problem, "out_of_range", "the timestamp is not between the years 1 and 9999");
  }
  std::int64_t days = instant.seconds / kSecondsPerDay;
  if (instant.seconds % kSecondsPerDay < 0) --days;
  write_field(out, static_cast<std::int32_t>(days - kEpochSeconds / kSecondsPerDay));
  return true;
}

bool encode_date(std::string_view text, FieldBuffer& out, EncodeProblem& problem) {
  std::int64_t days = 0;
  if (text.size() != 10 || !read_date(text, days)) {
    return refuse(problem, "invalid_date", "not a date such as \"2024-02-29\"");
  }
  write_field(out, static_cast<std::int32_t>(days - kEpochSeconds / kSecondsPerDay));
  return true;
}

}  // namespace penstock::compute
