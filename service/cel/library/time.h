// Timestamps and durations: ranges, arithmetic, RFC 3339 and duration text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cel/eval_context.h"
#include "cel/value.h"

namespace penstock::cel {

// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, as the specification bounds timestamps.
inline constexpr std::int64_t kFirstSecond = -62'135'596'800;
inline constexpr std::int64_t kLastSecond = 253'402'300'799;

// Nothing: out of range. Durations have the range of 64-bit nanoseconds (292 years).
[[nodiscard]] std::optional<Instant> add(Instant a, Instant b);
[[nodiscard]] std::optional<Instant> subtract(Instant a, Instant b);

// The value, or the error `out of range`, which guesses the unit of seconds that are milliseconds.
// Brings nanoseconds into the form the kind asks for. `per_second`: of the number that was given.
[[nodiscard]] Value make_timestamp(EvalContext& context, std::optional<Instant> instant,
                                   std::int64_t per_second = 1);
[[nodiscard]] Value make_duration(EvalContext& context, std::optional<Instant> instant);

// "2009-02-13T23:31:30.5+01:00"; nothing: malformed or no such date.
[[nodiscard]] std::optional<Instant> parse_timestamp(std::string_view text);
// "1h30m", "-1.5s", "10us"; nothing: malformed or out of range.
[[nodiscard]] std::optional<Instant> parse_duration(std::string_view text);

// "2009-02-13T23:31:30.5Z".
void append_timestamp(std::string& out, Instant timestamp);
// "5400s", "-1.5s".
void append_duration(std::string& out, Instant duration);

struct CivilTime {
  std::int64_t year;
  std::int32_t month;        // 1 … 12
  std::int32_t day;          // 1 … 31
  std::int32_t day_of_year;  // 0 …
  std::int32_t day_of_week;  // 0 is Sunday
  std::int32_t hour;
  std::int32_t minute;
  std::int32_t second;
};

[[nodiscard]] CivilTime civil_time(std::int64_t seconds);

// Seconds east of UTC at that moment: "Europe/Berlin", "+02:00", "-08:00", "UTC". Nothing: there is
// no such time zone.
[[nodiscard]] std::optional<std::int64_t> zone_offset(std::string_view zone, Instant at);

}  // namespace penstock::cel
