#include "write/dead_letter.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/traceparent.h"
#include "postgres/binary_array.h"
#include "text/base64.h"
#include "text/hex.h"
#include "text/json_string.h"
#include "text/utf8.h"

namespace penstock::write {
namespace {

constexpr std::size_t kMaxStatementBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxMessageBytes = 8192;
constexpr std::int64_t kEpochShiftMs = 946'684'800'000;  // 1970-01-01 to 2000-01-01
constexpr std::int64_t kMinTimestampMs = -210'866'803'200'000;
constexpr std::int64_t kMaxTimestampMs = 9'224'318'015'999'999;

// The seventeen parameters of statement::kDeadLetters.
class Columns {
 public:
  explicit Columns(const Plan& plan) : plan_(plan) { begin(); }

  void add(const DeadLetter& letter) {
    const RecordView record = letter.source->record(letter.place.record);
    const PartitionId id = letter.source->partition();
    topic_.add(plan_.topic(id.topic));
    partition_.add_integer(id.partition);
    offset_.add_integer(record.offset);
    std::int64_t microseconds = 0;
    if (record.timestamp_ms >= 0 && to_timestamptz(record.timestamp_ms, microseconds)) {
      timestamp_.add_integer(microseconds);
    } else {
      timestamp_.add_null();
    }
    add_optional(key_, record.key);
    add_optional(value_, record.value);
    // jsonb's binary form is a version byte and the text.
    headers_.add("\x01" + headers_json(record.headers()));
    stage_.add(to_string(letter.stage));
    reason_.add(storable_text(letter.reason));
    letter.sqlstate.empty() ? sqlstate_.add_null() : sqlstate_.add(storable_text(letter.sqlstate));
    message_.add(stored_message(letter.message));
    add_optional(target_, target_of(plan_, letter));
    add_optional(trace_id_, trace_id_of(record.headers(), letter.source->trace));
    attempts_.add_integer(static_cast<std::int32_t>(letter.tries));
    since_first_.add(std::to_string(letter.since_first.count()) + " microseconds");
  }
  [[nodiscard]] bool empty() const { return topic_.count() == 0; }
  [[nodiscard]] bool full() const {
    return value_.size_bytes() + key_.size_bytes() + headers_.size_bytes() + message_.size_bytes() >
           kMaxStatementBytes;
  }
  void send(Script& script) {
    const std::array parameters{
        postgres::Param{plan_.pipeline().data(), static_cast<int>(plan_.pipeline().size())},
        topic_.finish(),
        partition_.finish(),
        offset_.finish(),
        timestamp_.finish(),
        key_.finish(),
        value_.finish(),
        headers_.finish(),
        stage_.finish(),
        reason_.finish(),
        sqlstate_.finish(),
        message_.finish(),
        target_.finish(),
        trace_id_.finish(),
        attempts_.finish(),
        since_first_.finish(),
        text_or_null(plan_.version())};
    script.add(Step::dead_letters, statement::kDeadLetters, parameters);
    begin();
  }

 private:
  static postgres::Param text_or_null(const std::string& text) {
    return text.empty() ? postgres::Param{}
                        : postgres::Param{text.data(), static_cast<int>(text.size())};
  }
  static void add_optional(postgres::BinaryArray& array, std::optional<std::string_view> value) {
    value ? array.add(*value) : array.add_null();
  }
  void begin() {
    for (postgres::BinaryArray* array :
         {&topic_, &stage_, &reason_, &sqlstate_, &message_, &target_, &trace_id_, &since_first_}) {
      array->begin(postgres::oid::kText);
    }
    for (postgres::BinaryArray* array : {&key_, &value_}) array->begin(postgres::oid::kBytea);
    partition_.begin(postgres::oid::kInt4);
    attempts_.begin(postgres::oid::kInt4);
    offset_.begin(postgres::oid::kInt8);
    timestamp_.begin(postgres::oid::kTimestamptz);
    headers_.begin(postgres::oid::kJsonb);
  }

  const Plan& plan_;
  postgres::BinaryArray topic_, partition_, offset_, timestamp_, key_, value_, headers_, stage_,
      reason_, sqlstate_, message_, target_, trace_id_, attempts_, since_first_;
};

std::string hex_of(const TraceLink& link) {
  std::string id;
  text::append_hex(id, {reinterpret_cast<const char*>(link.trace_id.data()), link.trace_id.size()});
  return id;
}

}  // namespace

std::string stored_message(std::string_view message) {
  const std::string_view shown = text::cut_utf8(message, kMaxMessageBytes);
  return storable_text(shown) + (shown.size() < message.size() ? "…" : "");
}

std::string storable_text(std::string_view text) {
  const std::string valid = text::repaired_utf8(text);
  std::string result;
  result.reserve(valid.size());
  for (const char c : valid) {
    if (c == '\0') {
      result += text::kReplacementCharacter;
    } else {
      result += c;
    }
  }
  return result;
}

std::optional<std::string> target_of(const Plan& plan, const DeadLetter& letter) {
  const std::vector<Target>& targets = plan.targets();
  const Target* found = targets.size() == 1 ? &targets.front() : letter.target;
  for (const Target& target : targets) {
    if (found == nullptr && target.table.name == letter.table) found = &target;
  }
  if (found == nullptr) return std::nullopt;
  return storable_text(found->table.schema + "." + found->table.name);
}

std::optional<std::string> trace_id_of(HeaderReader headers, const BatchTrace& batch) {
  while (const auto header = headers.next()) {
    TraceLink link;
    if (header->name != "traceparent" || !header->value || !parse_traceparent(*header->value, link))
      continue;
    return hex_of(link);
  }
  if (!batch.context.is_sampled()) return std::nullopt;
  return hex_of(batch.context);
}

std::string headers_json(HeaderReader headers) {
  std::string json = "[";
  while (const auto header = headers.next()) {
    if (json.size() > 1) json += ", ";
    json += "{\"name\": ";
    text::append_json_string(json, storable_text(header->name));
    json += ", \"value\": ";
    if (header->value) {
      json += '"';
      text::append_base64(json, *header->value);
      json += "\"}";
    } else {
      json += "null}";
    }
  }
  return json += "]";
}

bool to_timestamptz(std::int64_t unix_ms, std::int64_t& microseconds) {
  if (unix_ms < kMinTimestampMs || unix_ms > kMaxTimestampMs) return false;
  microseconds = (unix_ms - kEpochShiftMs) * 1000;
  return true;
}

std::size_t add_dead_letters(Script& script, const Group& group,
                             std::span<const Refusal> refusals) {
  const std::vector<DeadLetter> letters = dead_letters_of(group, refusals);
  if (letters.empty()) return 0;

  Columns columns(group.plan());
  for (const DeadLetter& letter : letters) {
    columns.add(letter);
    if (columns.full()) columns.send(script);
  }
  if (!columns.empty()) columns.send(script);
  return letters.size();
}

}  // namespace penstock::write
