// A dead letter as it is stored, and as JSON.
//
// Place: store.h and redrive.h read them out of penstock.dead_letters; `penstock dead-letters`
// shows them. Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "postgres/connection.h"

namespace penstock::dead_letters {

struct Letter {
  std::int64_t id = 0;
  std::string pipeline;
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;  // the record's own, since the Unix epoch; -1: it has none
  std::string stage;
  std::string reason;
  std::string sqlstate;  // empty: PostgreSQL did not refuse it
  std::string message;
  std::string target;        // "schema.table"; empty: not known
  std::string plan_version;  // of the plan that refused it last; empty: not known
  std::string trace_id;      // empty: the record named none, and nobody traced its batch
  std::int64_t attempts = 0;
  std::string first_seen_at;  // RFC 3339, UTC
  std::string last_seen_at;

  // The record itself, if it was asked for.
  std::optional<std::string> key;
  std::optional<std::string> value;  // nothing: a tombstone
  std::string headers = "[]";        // JSON: [{"name": …, "value": base64 or null}, …]
};

// What of a letter is read.
enum class Contents : std::uint8_t { facts, whole };

// The select list for read_letter(), of penstock.dead_letters AS d.
[[nodiscard]] std::string columns_of_letter(Contents contents);
[[nodiscard]] Letter read_letter(const postgres::Reply& rows, int row, Contents contents);

// The record's own time in RFC 3339, UTC, with milliseconds; empty when it has none.
[[nodiscard]] std::string timestamp_of(const Letter& letter);

// Its headers in their order; nothing: they are not as Penstock writes them.
using Headers = std::vector<std::pair<std::string, std::optional<std::string>>>;
[[nodiscard]] std::optional<Headers> headers_of(const Letter& letter);
// What to say of one whose headers are not.
[[nodiscard]] Error unreadable_headers(const Letter& letter);

// One line of JSON without a line end, which steers no terminal; key and value as base64.
[[nodiscard]] std::string json_of(const Letter& letter, Contents contents);

}  // namespace penstock::dead_letters
