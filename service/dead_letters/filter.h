// Filter: which dead letters are meant.
//
// Place: what people say on the command line, as a condition of SQL. Everything that is given has
// to hold; an empty filter means all of them. Values are parameters, never a part of the statement.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace penstock::dead_letters {

struct Filter {
  std::string pipeline;
  std::vector<std::string> topics;
  std::string table;               // "schema.table", or the table's name alone
  std::string stage;               // parse, compute, encode or write
  std::string reason;              // such as invalid_json
  std::string sqlstate;            // five characters, or the two of a class
  std::string since;               // of first_seen_at: from then on, in RFC 3339
  std::string until;               // and before then
  std::optional<std::string> key;  // the record's, byte by byte
  std::vector<std::int64_t> ids;

  [[nodiscard]] bool empty() const;
};

// Conditions on penstock.dead_letters AS d, where the search_path is pg_catalog.
struct Condition {
  std::string sql = "true";
  std::vector<std::optional<std::string>> parameters;

  // The place of one more parameter, such as "$3".
  std::string add(std::string value);
};
[[nodiscard]] Condition condition_of(const Filter& filter);

// What people write for a time, as RFC 3339: an age such as "90s", "15m", "2h" or "7d" before
// `now`, or a date with or without a time, in UTC.
[[nodiscard]] Result<std::string> read_time(std::string_view text, std::int64_t now_unix_seconds);
// A key: text, or "\x" and hexadecimal digits.
[[nodiscard]] Result<std::string> read_key(std::string_view text);
// "23505", or "23" for all of its class.
[[nodiscard]] Result<std::string> read_sqlstate(std::string_view text);

}  // namespace penstock::dead_letters
