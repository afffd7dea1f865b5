#include "dead_letters/filter.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <format>
#include <utility>

#include "text/hex.h"

namespace penstock::dead_letters {
namespace {

constexpr std::int64_t kLongestAgeSeconds = std::int64_t{1000} * 366 * 86'400;

std::string rfc3339(std::chrono::sys_seconds at) { return std::format("{:%FT%TZ}", at); }

std::int64_t seconds_of(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86'400;
    default:
      return 0;
  }
}

// "2h"; nothing: it is no age.
std::optional<std::int64_t> age_seconds(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const std::int64_t unit = seconds_of(text.back());
  text.remove_suffix(1);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (unit == 0 || error != std::errc() || end != text.data() + text.size() || count < 0 ||
      count > kLongestAgeSeconds / unit) {
    return std::nullopt;
  }
  return count * unit;
}

// "2026-11-29", "2026-11-29T10:30", "2026-11-29T10:30:00Z".
std::optional<std::chrono::sys_seconds> date_time(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  int read = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &read) != 3) {
    return std::nullopt;
  }
  std::string_view rest = std::string_view(text).substr(static_cast<std::size_t>(read));
  if (rest.starts_with('T')) {
    int more = 0;
    const std::string time(rest);
    if (std::sscanf(time.c_str(), "T%2u:%2u%n", &hour, &minute, &more) != 2) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(more));
    if (rest.starts_with(':')) {
      const std::string seconds(rest);
      if (std::sscanf(seconds.c_str(), ":%2u%n", &second, &more) != 1) return std::nullopt;
      rest.remove_prefix(static_cast<std::size_t>(more));
    }
    if (rest.starts_with('Z')) rest.remove_prefix(1);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!rest.empty() || !date.ok() || year < 1 || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

std::string array_text(const std::vector<std::int64_t>& ids) {
  std::string text = "{";
  for (const std::int64_t id : ids) text += (text.size() > 1 ? "," : "") + std::to_string(id);
  return text + "}";
}

}  // namespace

bool Filter::empty() const {
  return pipeline.empty() && topics.empty() && table.empty() && stage.empty() && reason.empty() &&
         sqlstate.empty() && since.empty() && until.empty() && !key && ids.empty();
}

std::string Condition::add(std::string value) {
  parameters.emplace_back(std::move(value));
  return "$" + std::to_string(parameters.size());
}

Condition condition_of(const Filter& filter) {
  Condition made;
  const auto equal = [&](const char* column, const std::string& value) {
    if (!value.empty())
      made.sql += std::string(" AND ") + column + " = " + made.add(value) + "::text";
  };
  equal("d.pipeline", filter.pipeline);
  equal("d.stage", filter.stage);
  equal("d.reason", filter.reason);
  if (!filter.topics.empty()) {
    std::string list;
    for (const std::string& topic : filter.topics) {
      list += (list.empty() ? "" : ", ") + made.add(topic) + "::text";
    }
    made.sql += " AND d.topic IN (" + list + ")";
  }
  if (!filter.table.empty()) {
    const std::string name = made.add(filter.table) + "::text";
    made.sql += " AND (d.target = " + name + " OR right(d.target, length(" + name +
                ") + 1) = '.' || " + name + ")";
  }
  if (!filter.sqlstate.empty()) {
    made.sql += " AND starts_with(d.sqlstate, " + made.add(filter.sqlstate) + "::text)";
  }
  if (!filter.since.empty()) {
    made.sql += " AND d.first_seen_at >= " + made.add(filter.since) + "::timestamptz";
  }
  if (!filter.until.empty()) {
    made.sql += " AND d.first_seen_at < " + made.add(filter.until) + "::timestamptz";
  }
  if (filter.key) {
    std::string hex;
    text::append_hex(hex, *filter.key);
    made.sql += " AND d.key = decode(" + made.add(std::move(hex)) + "::text, 'hex')";
  }
  if (!filter.ids.empty()) {
    made.sql += " AND d.id = ANY (" + made.add(array_text(filter.ids)) + "::bigint[])";
  }
  return made;
}

Result<std::string> read_time(std::string_view text, std::int64_t now_unix_seconds) {
  if (const auto age = age_seconds(text)) {
    return rfc3339(std::chrono::sys_seconds(std::chrono::seconds(now_unix_seconds - *age)));
  }
  if (const auto at = date_time(std::string(text))) return rfc3339(*at);
  return fail(ErrorKind::invalid_argument, "'" + std::string(text) + "' is no time",
              "an age such as 90s, 15m, 2h or 7d, or a time of UTC such as 2026-11-29 or "
              "2026-11-29T10:30:00Z");
}

Result<std::string> read_key(std::string_view text) {
  if (!text.starts_with("\\x")) return std::string(text);
  std::string bytes;
  if (text::decode_hex(text.substr(2), bytes)) return bytes;
  return fail(ErrorKind::invalid_argument, "'" + std::string(text) + "' is no key",
              "text as it is, or \\x and two hexadecimal digits for each byte");
}

Result<std::string> read_sqlstate(std::string_view text) {
  const bool is_state =
      (text.size() == 5 || text.size() == 2) && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
      });
  if (is_state) return std::string(text);
  return fail(ErrorKind::invalid_argument, "'" + std::string(text) + "' is no SQLSTATE",
              "five characters such as 23505, or the two of a class such as 23");
}

}  // namespace penstock::dead_letters
