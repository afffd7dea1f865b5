#include "dead_letters/letter_copy.h"

#include <string>
#include <utility>

namespace penstock::dead_letters {

Result<kafka::OutgoingRecord> copy_of(const Letter& letter) {
  auto headers = headers_of(letter);
  if (!headers) return std::unexpected(unreadable_headers(letter));
  // After the record's own: of several headers of a name the last one counts.
  const auto add = [&headers](const char* name, const std::string& value) {
    if (!value.empty()) headers->emplace_back(std::string("penstock.") + name, value);
  };
  add("id", std::to_string(letter.id));
  add("pipeline", letter.pipeline);
  add("topic", letter.topic);
  add("partition", std::to_string(letter.partition));
  add("offset", std::to_string(letter.offset));
  if (letter.timestamp_ms >= 0) add("timestamp", std::to_string(letter.timestamp_ms));
  add("stage", letter.stage);
  add("reason", letter.reason);
  add("sqlstate", letter.sqlstate);
  add("message", letter.message);
  add("target", letter.target);
  add("attempts", std::to_string(letter.attempts));
  add("first_seen_at", letter.first_seen_at);
  add("plan_version", letter.plan_version);
  add("trace_id", letter.trace_id);
  kafka::OutgoingRecord record;
  if (letter.key) record.key = *letter.key;
  if (letter.value) record.value = *letter.value;
  record.headers = *std::move(headers);
  return record;
}

}  // namespace penstock::dead_letters
