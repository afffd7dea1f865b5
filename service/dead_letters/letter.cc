#include "dead_letters/letter.h"

#include <chrono>
#include <cstdlib>
#include <format>
#include <nlohmann/json.hpp>

#include "text/base64.h"
#include "text/hex.h"
#include "text/json_string.h"
#include "text/printable.h"
#include "text/utf8.h"

namespace penstock::dead_letters {
namespace {

std::string rfc3339(const char* column) {
  return std::string("to_char(") + column +
         " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
}

std::int64_t integer(const postgres::Reply& rows, int row, int column) {
  return std::atoll(rows.string(row, column).c_str());
}

std::optional<std::string> bytes(const postgres::Reply& rows, int row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  std::string decoded;
  static_cast<void>(text::decode_hex(rows.text(row, column), decoded));
  return decoded;
}

class Json {
 public:
  void text(const char* name, const std::string& value) {
    begin(name);
    text::append_json_string(line_, text::repaired_utf8(value));
  }
  // Empty is null.
  void optional(const char* name, const std::string& value) {
    value.empty() ? raw(name, "null") : text(name, value);
  }
  void number(const char* name, std::int64_t value) { raw(name, std::to_string(value)); }
  void raw(const char* name, const std::string& value) {
    begin(name);
    line_ += value;
  }
  void base64(const char* name, const std::optional<std::string>& value) {
    if (!value) return raw(name, "null");
    std::string encoded;
    text::append_base64(encoded, *value);
    text(name, encoded);
  }
  [[nodiscard]] std::string finish() { return text::printable(line_ + "}"); }

 private:
  void begin(const char* name) {
    line_ += (line_.empty() ? "{\"" : ", \"") + std::string(name) + "\": ";
  }
  std::string line_;
};

}  // namespace

std::string columns_of_letter(Contents contents) {
  std::string list =
      "d.id, d.pipeline, d.topic, d.partition, d.\"offset\", "
      "(extract(epoch FROM d.\"timestamp\") * 1000)::bigint, d.stage, d.reason, d.sqlstate, "
      "d.message, d.target, d.plan_version, d.trace_id, d.attempts, " +
      rfc3339("d.first_seen_at") + ", " + rfc3339("d.last_seen_at");
  // Not as the session's bytea_output would have it.
  if (contents == Contents::whole) {
    list += ", encode(d.key, 'hex'), encode(d.value, 'hex'), d.headers::text";
  }
  return list;
}

Letter read_letter(const postgres::Reply& rows, int row, Contents contents) {
  Letter letter{.id = integer(rows, row, 0),
                .pipeline = rows.string(row, 1),
                .topic = rows.string(row, 2),
                .partition = static_cast<std::int32_t>(integer(rows, row, 3)),
                .offset = integer(rows, row, 4),
                .timestamp_ms = rows.is_null(row, 5) ? -1 : integer(rows, row, 5),
                .stage = rows.string(row, 6),
                .reason = rows.string(row, 7),
                .sqlstate = rows.string(row, 8),
                .message = rows.string(row, 9),
                .target = rows.string(row, 10),
                .plan_version = rows.string(row, 11),
                .trace_id = rows.string(row, 12),
                .attempts = integer(rows, row, 13),
                .first_seen_at = rows.string(row, 14),
                .last_seen_at = rows.string(row, 15),
                .key = std::nullopt,
                .value = std::nullopt};
  if (contents == Contents::whole) {
    letter.key = bytes(rows, row, 16);
    letter.value = bytes(rows, row, 17);
    letter.headers = rows.string(row, 18);
  }
  return letter;
}

std::string timestamp_of(const Letter& letter) {
  if (letter.timestamp_ms < 0) return {};
  const std::chrono::sys_time<std::chrono::milliseconds> at{
      std::chrono::milliseconds(letter.timestamp_ms)};
  return std::format("{:%FT%TZ}", at);
}

std::optional<Headers> headers_of(const Letter& letter) {
  const auto list = nlohmann::json::parse(letter.headers, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return std::nullopt;
  Headers headers;
  for (const auto& header : list) {
    if (!header.is_object() || !header.contains("name") || !header.contains("value")) {
      return std::nullopt;
    }
    const auto& name = header["name"];
    const auto& value = header["value"];
    if (!name.is_string() || (!value.is_string() && !value.is_null())) return std::nullopt;
    auto& [_, bytes] = headers.emplace_back(name.get_ref<const std::string&>(), std::nullopt);
    if (value.is_null()) continue;
    if (!text::decode_base64(value.get_ref<const std::string&>(), bytes.emplace())) {
      return std::nullopt;
    }
  }
  return headers;
}

Error unreadable_headers(const Letter& letter) {
  const std::string id = std::to_string(letter.id);
  return {ErrorKind::conflict,
          "the headers of dead letter " + id + " are not as Penstock writes them",
          "penstock dead-letters show " + id + " has them; purge it, or correct them", ""};
}

std::string json_of(const Letter& letter, Contents contents) {
  Json json;
  json.number("id", letter.id);
  json.text("pipeline", letter.pipeline);
  json.text("topic", letter.topic);
  json.number("partition", letter.partition);
  json.number("offset", letter.offset);
  json.optional("timestamp", timestamp_of(letter));
  json.optional("target", letter.target);
  json.text("stage", letter.stage);
  json.text("reason", letter.reason);
  json.optional("sqlstate", letter.sqlstate);
  json.text("message", letter.message);
  json.number("attempts", letter.attempts);
  json.text("first_seen_at", letter.first_seen_at);
  json.text("last_seen_at", letter.last_seen_at);
  json.optional("plan_version", letter.plan_version);
  json.optional("trace_id", letter.trace_id);
  if (contents == Contents::whole) {
    json.base64("key", letter.key);
    json.base64("value", letter.value);
    json.raw("headers", letter.headers);
  }
  return json.finish();
}

}  // namespace penstock::dead_letters
