// Functions of timestamps and durations.
#include <string>

#include "cel/library/library.h"
#include "cel/library/time.h"

namespace penstock::cel {
namespace {

enum class Part {
  kYear,
  kMonth,
  kDayOfYear,
  kDayOfMonth,
  kDate,
  kDayOfWeek,
  kHours,
  kMinutes,
  kSeconds,
  kMillis
};

// Looking a zone up in the time zone database; not finding it costs an exception.
constexpr std::uint64_t kStepsPerZone = 20;
constexpr std::uint64_t kStepsPerWrongZone = 300;

template <Part kPart>
Value get_part(EvalContext& context, std::span<const Value> args) {
  const Instant at = args[0].as_timestamp();
  std::int64_t offset = 0;
  if (args.size() == 2) {
    if (!context.charge(kStepsPerZone)) return context.out_of_steps();
    const auto found = zone_offset(args[1].as_string(), at);
    if (!found) {
      if (!context.charge(kStepsPerWrongZone)) return context.out_of_steps();
      return context.fail(ErrorCode::kInvalidArgument,
                          {"no such time zone: '", args[1].as_string(), "'"});
    }
    offset = *found;
  }
  if constexpr (kPart == Part::kMillis) return Value::of_int(at.nanos / 1'000'000);
  const CivilTime time = civil_time(at.seconds + offset);
  switch (kPart) {
    case Part::kYear:
      return Value::of_int(time.year);
    case Part::kMonth:
      return Value::of_int(time.month - 1);
    case Part::kDayOfYear:
      return Value::of_int(time.day_of_year);
    case Part::kDayOfMonth:
      return Value::of_int(time.day - 1);
    case Part::kDate:
      return Value::of_int(time.day);
    case Part::kDayOfWeek:
      return Value::of_int(time.day_of_week);
    case Part::kHours:
      return Value::of_int(time.hour);
    case Part::kMinutes:
      return Value::of_int(time.minute);
    default:
      return Value::of_int(time.second);
  }
}

template <std::int64_t kUnitSeconds>
Value duration_in(EvalContext&, std::span<const Value> args) {
  return Value::of_int(args[0].as_duration().seconds / kUnitSeconds);
}

Value duration_millis(EvalContext&, std::span<const Value> args) {
  return Value::of_int(args[0].as_duration().nanos / 1'000'000);
}

#define PENSTOCK_CEL_PART(name, part, sentence, example)                    \
  {"timestamp." name "() -> int", get_part<Part::part>, sentence, example}, \
      {"timestamp." name "(string) -> int", get_part<Part::part>, "", ""}

constexpr FunctionRow kRows[] = {
    PENSTOCK_CEL_PART("getFullYear", kYear, "The year, in UTC or a time zone.",
                      "timestamp('2024-05-06T07:08:09Z').getFullYear() == 2024"),
    PENSTOCK_CEL_PART("getMonth", kMonth, "The month, 0 for January.",
                      "timestamp('2024-05-06T07:08:09Z').getMonth() == 4"),
    PENSTOCK_CEL_PART("getDayOfYear", kDayOfYear, "The day of the year, from 0.",
                      "timestamp('2024-02-01T00:00:00Z').getDayOfYear() == 31"),
    PENSTOCK_CEL_PART("getDayOfMonth", kDayOfMonth, "The day of the month, from 0.",
                      "timestamp('2024-05-06T07:08:09Z').getDayOfMonth() == 5"),
    PENSTOCK_CEL_PART("getDate", kDate, "The day of the month, from 1.",
                      "timestamp('2024-05-06T22:30:00Z').getDate('Europe/Berlin') == 7"),
    PENSTOCK_CEL_PART("getDayOfWeek", kDayOfWeek, "The day of the week, 0 for Sunday.",
                      "timestamp('2024-05-06T07:08:09Z').getDayOfWeek() == 1"),
    PENSTOCK_CEL_PART("getHours", kHours, "The hour of the day.",
                      "timestamp('2024-05-06T07:08:09Z').getHours('+02:00') == 9"),
    PENSTOCK_CEL_PART("getMinutes", kMinutes, "The minute of the hour.",
                      "timestamp('2024-05-06T07:08:09Z').getMinutes() == 8"),
    PENSTOCK_CEL_PART("getSeconds", kSeconds, "The second of the minute.",
                      "timestamp('2024-05-06T07:08:09Z').getSeconds() == 9"),
    PENSTOCK_CEL_PART("getMilliseconds", kMillis, "The millisecond of the second.",
                      "timestamp('2024-05-06T07:08:09.123Z').getMilliseconds() == 123"),
    {"duration.getHours() -> int", duration_in<3600>, "The duration in whole hours.",
     "duration('90m').getHours() == 1"},
    {"duration.getMinutes() -> int", duration_in<60>, "The duration in whole minutes.",
     "duration('90m').getMinutes() == 90"},
    {"duration.getSeconds() -> int", duration_in<1>, "The duration in whole seconds.",
     "duration('1.5s').getSeconds() == 1"},
    {"duration.getMilliseconds() -> int", duration_millis,
     "The milliseconds beyond the duration's whole seconds.",
     "duration('1.5s').getMilliseconds() == 500"},
};

#undef PENSTOCK_CEL_PART

}  // namespace

std::span<const FunctionRow> time_rows() { return kRows; }

}  // namespace penstock::cel
