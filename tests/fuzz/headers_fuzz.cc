// Records with headers: in a batch and out again, as JSON of a dead letter, as `record.headers` of
// expressions, and the trace that a header names.
//
// Strings of the input are preceded by their length; what is read is compared with other parsers.
#include <re2/re2.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/plan.h"
#include "compute/process_batch.h"
#include "compute/projection.h"
#include "core/record_batch.h"
#include "core/traceparent.h"
#include "formats/json/json_reader.h"
#include "fuzz/bytes.h"
#include "text/utf8.h"
#include "write/dead_letter.h"

namespace penstock {
namespace {

constexpr std::size_t kMostRecords = 4;
constexpr std::size_t kMostHeaders = 6;
constexpr std::string_view kReplacement = "\uFFFD";

struct Header {
  std::string name;
  std::optional<std::string> value;
};

struct Record {
  std::int64_t timestamp_ms = -1;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<Header> headers;
};

std::string string_of(FuzzBytes& bytes) {
  constexpr std::string_view kNames[] = {"traceparent", "a", "content-type"};
  if (bytes.chance(4)) return std::string(kNames[bytes.below(std::size(kNames))]);
  return std::string(bytes.take(bytes.next()));
}

std::optional<std::string> string_or_null(FuzzBytes& bytes) {
  if (bytes.chance(8)) return std::nullopt;
  return string_of(bytes);
}

std::vector<Record> read_records(FuzzBytes& bytes) {
  std::vector<Record> records(bytes.below(kMostRecords) + 1);
  for (Record& record : records) {
    record.timestamp_ms = bytes.chance(2) ? static_cast<std::int64_t>(bytes.word()) : bytes.next();
    record.key = string_or_null(bytes);
    record.value =
        bytes.chance(2) ? std::optional<std::string>("{\"id\": 1}") : string_or_null(bytes);
    record.headers.resize(bytes.below(kMostHeaders));
    for (Header& header : record.headers) {
      header.name = string_of(bytes);
      header.value = string_or_null(bytes);
    }
  }
  return records;
}

std::unique_ptr<RecordBatch> pack(const std::vector<Record>& records) {
  auto batch = std::make_unique<RecordBatch>(
      std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, nullptr), Offset{0}, std::size_t{16});
  Offset offset = 0;
  for (const Record& record : records) {
    batch->add_record(offset++, record.timestamp_ms, record.key, record.value);
    for (const Header& header : record.headers) batch->add_header(header.name, header.value);
  }
  return batch;
}

void check_round_trip(const RecordBatch& batch, const std::vector<Record>& records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RecordView record = batch.record(i);
    if (record.key != records[i].key || record.value != records[i].value ||
        record.timestamp_ms != records[i].timestamp_ms) {
      finding("another record", records[i].key.value_or("null"));
    }
    HeaderReader headers = record.headers();
    for (const Header& header : records[i].headers) {
      const auto read = headers.next();
      if (!read || read->name != header.name || read->value != header.value)
        finding("another header", header.name);
    }
    if (headers.next()) finding("one header too many", records[i].key.value_or("null"));
  }
}

// ---- Dead letters

std::string decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos || padding > 0) finding("no base64", text);
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> static_cast<unsigned>(count -= 8) & 255U);
  }
  if (text.size() % 4 != 0 || padding > 2) finding("no base64", text);
  return bytes;
}

void check_storable(std::string_view text) {
  const std::string stored = write::storable_text(text);
  if (!text::is_valid_utf8(stored) || stored.contains('\0')) finding("cannot be stored", text);
  if (text::is_valid_utf8(text) && !text.contains('\0') && stored != text)
    finding("changed without need", text);
  if (write::storable_text(stored) != stored) finding("changed again", text);
  if (stored != text && !stored.contains(kReplacement)) finding("changed silently", text);
}

void check_dead_letter(const RecordBatch& batch, const std::vector<Record>& records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::string text = write::headers_json(batch.record(i).headers());
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_array() || json.size() != records[i].headers.size()) finding("other JSON", text);
    for (std::size_t j = 0; j < json.size(); ++j) {
      const Header& header = records[i].headers[j];
      check_storable(header.name);
      if (json[j].size() != 2 || json[j].at("name") != write::storable_text(header.name))
        finding("another name", text);
      const nlohmann::json& value = json[j].at("value");
      const bool same = header.value ? value.is_string() &&
                                           decode_base64(value.get<std::string>()) == *header.value
                                     : value.is_null();
      if (!same) finding("another value", text);
    }
  }
}

void check_timestamp(std::int64_t unix_ms) {
  std::int64_t microseconds = 0;
  if (!write::to_timestamptz(unix_ms, microseconds)) return;
  if (microseconds / 1000 + 946'684'800'000 != unix_ms || microseconds % 1000 != 0)
    finding("another time", std::to_string(unix_ms));
}

// ---- Traces

void check_traceparent(const std::string& text) {
  static const re2::RE2 kKnown("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})");
  static const re2::RE2 kLater(
      "(?s)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re2::RE2::Latin1);
  std::string trace;
  std::string span;
  std::string flags;
  const bool is_known = text.starts_with("00");
  bool valid = re2::RE2::FullMatch(text, is_known ? kKnown : kLater, &trace, &span, &flags);
  valid = valid && !text.starts_with("ff") && trace.find_first_not_of('0') != std::string::npos &&
          span.find_first_not_of('0') != std::string::npos;
  TraceLink link;
  link.flags = 77;
  if (parse_traceparent(text, link) != valid) finding("traceparent", text);
  if (!valid) {
    if (link.flags != 77) finding("not left as it was", text);
    return;
  }
  const auto hex = [](const auto& bytes) {
    std::string digits;
    for (const std::uint8_t byte : bytes) {
      constexpr std::string_view kHex = "0123456789abcdef";
      digits += kHex[byte >> 4U];
      digits += kHex[byte & 15U];
    }
    return digits;
  };
  if (hex(link.trace_id) != trace || hex(link.span_id) != span) finding("another trace", text);
  const auto given = static_cast<unsigned>(std::stoul(flags, nullptr, 16));
  if (link.flags != (is_known ? given : given & 1U)) finding("other flags", text);
}

// ---- Expressions

const compute::Projection& projection() {
  static const compute::Projection kProjection = [] {
    TableDescription table{.schema = "public", .name = "t", .columns = {}, .primary_key = {}};
    const auto add = [&](std::string name, ColumnType type) {
      ColumnDescription& column = table.columns.emplace_back();
      column.name = std::move(name);
      column.type = type;
      column.type_name = "some type";
    };
    add("headers", ColumnType::jsonb);
    add("key", ColumnType::bytea);
    add("one", ColumnType::bytea);
    add("count", ColumnType::int4);
    add("at", ColumnType::timestamptz);
    compute::ComputeOptions options;
    options.topics = {"orders"};
    options.tombstones = compute::Tombstones::skip;
    options.routes.front().columns = {{"headers", "record.headers"},
                                      {"key", "record.?key"},
                                      {"one", "record.headers[?'traceparent']"},
                                      {"count", "size(record.headers)"},
                                      {"at", "record.?timestamp"}};
    auto compiled = compute::Projection::compile(options, {&table, 1});
    if (!compiled) finding("the projection does not compile", compiled.error().front().message);
    return std::move(*compiled);
  }();
  return kProjection;
}

void check_expressions(const std::vector<Record>& records) {
  const formats::FieldTree tree(projection().inputs());
  const Target target{.table = projection().plan().tables.front().description};
  compute::BatchProcessor<formats::JsonReader> processor(projection(), {&target, 1},
                                                         formats::JsonReader({}, tree));
  const std::unique_ptr<RowBatch> rows = processor.process(pack(records));
  if (rows->row_count() + rows->rejects.size() + rows->filtered != records.size())
    finding("a record that is lost or twice", std::to_string(records.size()));
  for (const Reject& reject : rows->rejects) {
    if (reject.reason == "internal_error") finding("an exception", reject.message);
  }
}

}  // namespace
}  // namespace penstock

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  FuzzBytes bytes(data, size);
  const std::vector<Record> records = read_records(bytes);
  const std::unique_ptr<RecordBatch> batch = pack(records);
  check_round_trip(*batch, records);
  check_dead_letter(*batch, records);
  for (const Record& record : records) {
    check_timestamp(record.timestamp_ms);
    for (const Header& header : record.headers) check_traceparent(header.value.value_or(""));
  }
  check_traceparent(std::string(bytes.rest()));
  check_expressions(records);
  return 0;
}
