// Dates and times as people and programs write them.
//
// Place in the flow: time.parse() and the columns of PostgreSQL's date and time types read texts
// here, so that both take the same. timestamp() of the language takes RFC 3339 only, as its
// definition asks.
//
// Taken: a date, YYYY-MM-DD or YYYYMMDD; behind T or blanks a time, hh:mm, hh:mm:ss or without
// colons, with a fraction of any length behind a point or comma; behind blanks or none an offset,
// Z, UTC, GMT, ±hh, ±hhmm, ±hh:mm or ±hh:mm:ss, below 16 hours; behind an offset a zone's name in
// brackets, as Java writes it, which says nothing new. Letters in either case; the second 60 is the
// next minute's first, 24:00 the next day's. The years 1 to 9999. So whatever PostgreSQL and RFC
// 3339 write, except infinity and years before 1. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::cel {

struct TimeText {
  std::int64_t seconds = 0;  // from 1970-01-01T00:00:00 to what is written, the offset left aside
  std::int64_t days = 0;     // to the day that is written: 24:00 and a leap second belong to it
  std::int32_t nanos = 0;    // cut off behind the ninth digit
  std::int64_t offset_seconds = 0;
  bool has_time = false;
  bool has_offset = false;
};

// Empty: it was read. Else what is wrong: "it has no such day".
[[nodiscard]] std::string_view read_time_text(std::string_view text, TimeText& time);

// Whether a timestamp can be what was read: its offset may take it out of the years 1 to 9999.
[[nodiscard]] bool is_in_years(const TimeText& time);

// How to read a text that is none of the above, or lacks an offset, with a function: "write …", or
// empty.
[[nodiscard]] std::string time_text_hint(std::string_view text);

// "hh:mm", "hh:mm:ss" or without colons, with a fraction, in [00:00, 24:00], at the beginning of
// `text`, from which it is taken. False: there is no time, and `text` is unchanged.
[[nodiscard]] bool take_time_of_day(std::string_view& text, TimeText& time);
// An offset from UTC, or nothing. False: neither.
[[nodiscard]] bool take_offset(std::string_view& text, TimeText& time);

}  // namespace penstock::cel
