#include "compute/encode/time_encoder.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "cel/library/time_text.h"
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

void write_micros(std::int64_t unix_seconds, std::int64_t micros, FieldBuffer& out) {
  write_field(out, (unix_seconds - kEpochSeconds) * kMicrosPerSecond + micros);
}

void write_days(std::int64_t unix_seconds, FieldBuffer& out) {
  std::int64_t days = unix_seconds / kSecondsPerDay;
  if (unix_seconds % kSecondsPerDay < 0) --days;
  write_field(out, static_cast<std::int32_t>(days - kEpochSeconds / kSecondsPerDay));
}

bool refuse_text(EncodeProblem& problem, std::string_view reason, std::string_view wrong,
                 std::string_view text) {
  return refuse(problem, reason, std::string(wrong), cel::time_text_hint(text));
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
  cel::TimeText time;
  if (const std::string_view wrong = cel::read_time_text(text, time); !wrong.empty()) {
    return refuse_text(problem, "invalid_timestamp", wrong, text);
  }
  if (!offset_may_lack && !time.has_offset) {
    return refuse_text(problem, "invalid_timestamp",
                       time.has_time
                           ? "the time has no offset from UTC, such as \"Z\" or \"+02:00\""
                           : "it has no time of day and no offset from UTC",
                       text);
  }
  return encode_timestamp(cel::Instant{time.seconds - time.offset_seconds, time.nanos}, out,
                          problem);
}

bool encode_date(cel::Instant instant, FieldBuffer& out, EncodeProblem& problem) {
  if (instant.seconds < kMinSeconds || instant.seconds > kMaxSeconds) {
    return refuse(problem, "out_of_range", "the timestamp is not between the years 1 and 9999");
  }
  write_days(instant.seconds, out);
  return true;
}

bool encode_date(std::string_view text, FieldBuffer& out, EncodeProblem& problem) {
  cel::TimeText time;
  if (const std::string_view wrong = cel::read_time_text(text, time); !wrong.empty()) {
    return refuse_text(problem, "invalid_date", wrong, text);
  }
  // In UTC it may be another day than the one that is written.
  if (time.offset_seconds != 0) {
    return refuse(problem, "invalid_date",
                  "a time with an offset from UTC has one day where it was written and may have "
                  "another in UTC",
                  "time.parse(...) is its day in UTC, .substring(0, 10) the day as it is written");
  }
  write_days(time.days * kSecondsPerDay, out);
  return true;
}

namespace {

bool refuse_time(bool has_offset, EncodeProblem& problem) {
  return has_offset ? refuse(problem, "invalid_time",
                             "not a time of day with an offset from UTC such as \"12:30:00+02\"")
                    : refuse(problem, "invalid_time",
                             "not a time of day without an offset such as \"12:30:00\"");
}

bool read_time(std::string_view text, bool has_offset, cel::TimeText& time,
               EncodeProblem& problem) {
  if (!cel::take_time_of_day(text, time)) return refuse_time(has_offset, problem);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const bool is_read = cel::take_offset(text, time) && text.empty();
  return (is_read && time.has_offset == has_offset) || refuse_time(has_offset, problem);
}

}  // namespace

bool encode_time_of_day(const ColumnDescription& column, const cel::Value& value, FieldBuffer& out,
                        EncodeProblem& problem) {
  const bool has_offset = column.type == ColumnType::timetz;
  cel::TimeText time;
  if (value.is_string()) {
    if (!read_time(value.as_string(), has_offset, time, problem)) return false;
  } else if (value.is_timestamp()) {
    const cel::Instant instant = value.as_timestamp();
    time.seconds = (instant.seconds % kSecondsPerDay + kSecondsPerDay) % kSecondsPerDay;
    time.nanos = instant.nanos;
  } else if (value.is_duration() && !has_offset) {
    time.seconds = value.as_duration().seconds;
    time.nanos = value.as_duration().nanos;
  } else {
    return refuse_type(column, value, problem);
  }
  // 24:00, and the leap second before it, are a time; what is later or negative is none.
  const bool is_in_a_day =
      time.seconds >= 0 && time.nanos >= 0 &&
      cel::Instant{time.seconds, time.nanos} <= cel::Instant{kSecondsPerDay, 0};
  if (!is_in_a_day) {
    return refuse(problem, "out_of_range", "the time is not between 00:00 and 24:00");
  }
  const std::int64_t micros = time.seconds * kMicrosPerSecond + time.nanos / 1000;
  if (!has_offset) {
    write_field(out, micros);
    return true;
  }
  constexpr std::int64_t kMostSeconds = std::int64_t{16} * 3'600;  // PostgreSQL's MAX_TZDISP_HOUR
  if (time.offset_seconds <= -kMostSeconds || time.offset_seconds >= kMostSeconds) {
    return refuse(problem, "out_of_range", "the offset from UTC is not below 16 hours");
  }
  constexpr std::int32_t kSize = sizeof(std::int64_t) + sizeof(std::int32_t);
  char* const at = store(out.extend(sizeof(std::int32_t) + kSize), kSize);
  store(store(at, micros), static_cast<std::int32_t>(-time.offset_seconds));
  return true;
}

}  // namespace penstock::compute
