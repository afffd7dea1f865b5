#include "compute/encode/time_encoder.h"

#include <cstdint>
#include <string>

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
  write_micros(time.seconds - time.offset_seconds, time.nanos / 1000, out);
  return true;
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

}  // namespace penstock::compute
