// time.parse() and its kin: moments from what others write.
#include <absl/time/time.h>

#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>

#include "cel/json/number.h"
#include "cel/library/library.h"
#include "cel/library/time.h"
#include "cel/library/time_text.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

constexpr std::uint64_t kStepsPerParse = 10;
constexpr std::uint64_t kStepsPerZone = 20;
constexpr std::uint64_t kStepsPerWrongZone = 300;
constexpr std::size_t kLongestFormat = 200;
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

Value refuse(EvalContext& context, std::string_view text, std::string_view why) {
  return context.fail(ErrorCode::kInvalidArgument, {"not a time: '", text, "': ", why});
}

Value parse_text(EvalContext& context, Args args) {
  if (!context.charge(kStepsPerParse)) return context.out_of_steps();
  const std::string_view text = args[0].as_string();
  TimeText time;
  std::string_view problem = read_time_text(text, time);
  if (problem.empty() && !time.has_time) problem = "it has no time of day";
  if (problem.empty() && !time.has_offset) problem = "it has no offset from UTC";
  if (problem.empty()) {
    return make_timestamp(context, Instant{time.seconds - time.offset_seconds, time.nanos});
  }
  return refuse(context, text, std::string(problem) + "; " + time_text_hint(text));
}

// A format in our words: those of strptime() that say a moment, and %f.
struct Format {
  std::string text;  // as absl::ParseTime() knows it
  bool has_year = false;
  bool has_month = false;
  bool has_day = false;
  bool has_hour = false;
  bool has_offset = false;
  bool has_seconds = false;  // since 1970: absl takes them for all of the time
  bool has_parts = false;    // of it
  bool has_half_day = false;
  bool has_half = false;  // which one
  std::string problem;

  explicit Format(std::string_view format) {
    for (std::size_t i = 0; i < format.size() && problem.empty(); ++i) {
      if (format[i] != '%') {
        text += format[i];
      } else if (++i == format.size()) {
        problem = "a '%' ends the format";
      } else {
        add(format[i]);
      }
    }
    if (problem.empty() && !(has_year && has_month && has_day)) {
      problem = "the format lacks the year (%Y), the month (%m) or the day (%d)";
    }
    if (problem.empty() && has_half_day != has_half) {
      problem =
          "hours of %I and the half of the day that %p says go together; %H counts from 0 "
          "to 23";
    }
    if (problem.empty() && has_seconds && has_parts) {
      problem =
          "%s is whole seconds and all of the time, so that what else the format has would "
          "be lost; time.fromSeconds(double(…)) reads fractions, too";
    }
  }

 private:
  void add(char conversion) {
    if (!std::string_view("saAnt%").contains(conversion)) has_parts = true;
    if (conversion == 'I') has_half_day = true;
    if (conversion == 'p') has_half = true;
    switch (conversion) {
      case 'Y':
        text += "%E4Y";
        has_year = true;
        return;
      case 'y':
        has_year = true;
        break;
      case 'm':
      case 'b':
      case 'B':
      case 'h':
        has_month = true;
        break;
      case 'd':
      case 'e':
        has_day = true;
        break;
      case 'F':
        text += "%E4Y-%m-%d";
        has_year = has_month = has_day = true;
        return;
      case 'D':
        has_year = has_month = has_day = true;
        break;
      case 'H':
      case 'I':
      case 'T':
      case 'R':
        has_hour = true;
        break;
      case 'f':  // digits of a second, as Python has it
        text += "%E*f";
        return;
      case 'z':
        text += "%Ez";  // with or without a colon, or Z
        has_offset = true;
        return;
      case 's':
        has_seconds = true;
        has_year = has_month = has_day = has_hour = has_offset = true;
        break;
      case 'M':
      case 'S':
      case 'p':
      case 'a':
      case 'A':
      case 'n':
      case 't':
      case '%':
        break;
      case 'Z':
        problem =
            "%Z, a zone's name in the text, is ambiguous: take it out, and name the zone as "
            "the third argument";
        return;
      default:
        problem = std::string("the format knows no '%") + conversion +
                  "': only Y y m b B d e F D H I M S f p T R z s a A n t %";
        return;
    }
    text += '%';
    text += conversion;
  }
};

// Seconds to take from a civil time in a zone; nothing: `why` says it.
std::optional<std::int64_t> offset_at(EvalContext& context, std::string_view zone,
                                      std::int64_t civil_seconds, std::string_view& why) {
  if (zone == "UTC" || zone.find(':') != std::string_view::npos) {
    if (const auto offset = zone_offset(zone, {})) return offset;
    why = "there is no such time zone";
    return std::nullopt;
  }
  try {
    const std::chrono::local_seconds at{std::chrono::seconds(civil_seconds)};
    const std::chrono::local_info info = std::chrono::locate_zone(zone)->get_info(at);
    if (info.result == std::chrono::local_info::unique) return info.first.offset.count();
    why = info.result == std::chrono::local_info::ambiguous
              ? "the clocks show this time twice there; only an offset in the text (%z) says which"
              : "the clocks are put forward over this time there";
  } catch (const std::runtime_error&) {  // no such zone
    std::ignore = context.charge(kStepsPerWrongZone);
    why = "there is no such time zone";
  }
  return std::nullopt;
}

Value parse_format(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const std::string_view pattern = args[1].as_string();
  if (!context.charge(kStepsPerZone + text_steps(args[0]))) return context.out_of_steps();
  if (pattern.size() > kLongestFormat) {
    return context.fail(ErrorCode::kInvalidArgument, {"time.parse: the format is too long"});
  }
  const Format format(pattern);
  if (!format.problem.empty()) {
    return context.fail(ErrorCode::kInvalidArgument, {"time.parse: ", format.problem});
  }
  if (!format.has_offset && args.size() == 2) {
    return context.fail(
        ErrorCode::kInvalidArgument,
        {"time.parse: the format has no offset from UTC (%z): name the time zone as "
         "the third argument, such as \"UTC\" or \"Europe/Berlin\""});
  }
  absl::Time parsed;
  std::string error;
  if (!absl::ParseTime(format.text, absl::string_view(text.data(), text.size()), &parsed, &error)) {
    return refuse(context, text, "it is not of the form '" + std::string(pattern) + "'");
  }
  Instant instant;
  const absl::Duration since = parsed - absl::UnixEpoch();
  absl::Duration rest;
  instant.seconds = absl::IDivDuration(since, absl::Seconds(1), &rest);
  instant.nanos = static_cast<std::int32_t>(rest / absl::Nanoseconds(1));
  if (!format.has_offset) {
    std::string_view why;
    const auto offset = offset_at(context, args[2].as_string(), instant.seconds, why);
    if (!offset) {
      return context.fail(ErrorCode::kInvalidArgument,
                          {"not a time: '", text, "' in '", args[2].as_string(), "': ", why});
    }
    instant.seconds -= *offset;
  }
  return make_timestamp(context, instant);
}

template <std::int64_t kPerSecond>
Value from_int(EvalContext& context, Args args) {
  const std::int64_t count = args[0].as_int();
  std::int64_t seconds = count / kPerSecond;
  std::int64_t rest = count % kPerSecond;
  if (rest < 0) {
    rest += kPerSecond;
    --seconds;
  }
  return make_timestamp(
      context, Instant{seconds, static_cast<std::int32_t>(rest * (kNanosPerSecond / kPerSecond))},
      kPerSecond);
}

// "1520949575.820367", of a document, to the nanosecond; false: it is written in another way.
bool read_decimal_seconds(std::string_view text, Instant& instant) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || point > 12 ||
      text.find_first_of("eE") != std::string_view::npos) {
    return false;
  }
  for (const char c : text.substr(0, point)) instant.seconds = instant.seconds * 10 + (c - '0');
  std::int32_t unit = 100'000'000;
  for (const char c : text.substr(point + 1)) {
    instant.nanos += (c - '0') * unit;
    unit /= 10;
  }
  if (negative) instant = {-instant.seconds, -instant.nanos};
  return true;
}

// A double of today's size is exact to a quarter of a microsecond: rounded to a whole one.
template <std::int64_t kPerSecond>
Value from_double(EvalContext& context, Args args) {
  Instant instant;
  if (kPerSecond == 1 && read_decimal_seconds(text_of_number(args[0]), instant)) {
    return make_timestamp(context, instant);
  }
  const double seconds = args[0].as_double() / static_cast<double>(kPerSecond);
  if (!(std::abs(seconds) < 1e12)) return make_timestamp(context, std::nullopt);
  const double whole = std::floor(seconds);
  instant.seconds = static_cast<std::int64_t>(whole);
  instant.nanos = static_cast<std::int32_t>(std::llround((seconds - whole) * 1e6)) * 1000;
  if (instant.nanos == kNanosPerSecond) instant = {instant.seconds + 1, 0};
  return make_timestamp(context, instant);
}

constexpr FunctionRow kRows[] = {
    {"time.parse(string) -> timestamp", parse_text,
     "A moment, from a date, a time and an offset as people and programs write them: with a blank "
     "for T, without seconds, with Z, +02, +0200 or +02:00, as PostgreSQL, RFC 3339 and Java print "
     "them.",
     "time.parse('2024-05-06 09:08+02') == timestamp('2024-05-06T07:08:00Z')"},
    {"time.parse(string, string) -> timestamp", parse_format,
     "A moment in a form of your own, as strptime() has them: %Y %m %b %d, %H %I %p %M %S, %f "
     "(digits of a second), %z (an offset), %s (seconds since 1970). Without %z or %s the third "
     "argument says the time zone; a time that its clocks show twice or never is an error.",
     "time.parse('06/May/2024:09:08:07 +0200', '%d/%b/%Y:%H:%M:%S %z') == "
     "timestamp('2024-05-06T07:08:07Z')"},
    {"time.parse(string, string, string) -> timestamp", parse_format, "", ""},
    {"time.fromSeconds(int) -> timestamp", from_int<1>,
     "The moment so many seconds after 1970 began, in UTC.",
     "time.fromSeconds(1714979289.5) == timestamp('2024-05-06T07:08:09.5Z')"},
    {"time.fromSeconds(double) -> timestamp", from_double<1>, "", ""},
    {"time.fromMillis(int) -> timestamp", from_int<1'000>, "The same for milliseconds.",
     "time.fromMillis(1714979289250) == timestamp('2024-05-06T07:08:09.25Z')"},
    {"time.fromMillis(double) -> timestamp", from_double<1'000>, "", ""},
    {"time.fromMicros(int) -> timestamp", from_int<1'000'000>, "The same for microseconds.",
     "time.fromMicros(1714979289250001) == timestamp('2024-05-06T07:08:09.250001Z')"},
    {"time.fromNanos(int) -> timestamp", from_int<kNanosPerSecond>, "The same for nanoseconds.",
     "time.fromNanos(1714979289250000001) == timestamp('2024-05-06T07:08:09.250000001Z')"},
};

}  // namespace

std::span<const FunctionRow> time_parse_rows() { return kRows; }

}  // namespace penstock::cel
