#include "compute/evaluator.h"

#include <algorithm>
#include <format>
#include <string>
#include <utility>

#include "cel/containers.h"
#include "cel/eval_context.h"
#include "cel/eval_error.h"
#include "cel/library/time.h"
#include "compute/shown.h"
#include "core/record_batch.h"
#include "text/nearest_names.h"
#include "text/utf8.h"

namespace penstock::compute {
namespace {

using cel::Value;

constexpr std::uint32_t kNoSlot = ExpressionPlan::kNoSlot;
// What one record may take as values, with what expressions make of it: a document of a megabyte
// takes at most that, whatever is in it. Every worker may have one. A large one, of which there is
// one at a time, may take what its pipeline has for its buffers.
constexpr std::size_t kArenaBytes = std::size_t{32} << 20;
constexpr std::size_t kArenaKeepBytes = std::size_t{64} << 10;

cel::Instant instant_of(std::int64_t unix_ms) {
  std::int64_t seconds = unix_ms / 1000;
  std::int64_t ms = unix_ms % 1000;
  if (ms < 0) {
    ms += 1000;
    --seconds;
  }
  return {seconds, static_cast<std::int32_t>(ms * 1'000'000)};
}

// What is wrong is the document, or what an expression makes of it.
Stage stage_of(cel::ErrorCode code) {
  switch (code) {
    case cel::ErrorCode::kNotAnObject:
    case cel::ErrorCode::kWrongType:
    case cel::ErrorCode::kNumberOutOfRange:
    case cel::ErrorCode::kLoneSurrogate:
      return Stage::parse;
    default:
      return Stage::compute;
  }
}

// "a, b, c": the first of them, each cut.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 12;
  constexpr std::size_t kShownBytes = 60;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    const std::string_view cut = text::cut_utf8(names[i], kShownBytes);
    text += i == 0 ? "" : ", ";
    text += cut;
    if (cut.size() < names[i].size()) text += "…";
  }
  if (names.size() > kShown) text += ", …";
  return text;
}

}  // namespace

Evaluator::Evaluator(const ExpressionPlan& plan, FieldNames field_names)
    : plan_(plan),
      field_names_(field_names),
      arena_(kArenaBytes, kArenaKeepBytes),
      slots_(plan.inputs.size(), Value::absent(0)) {}

void Evaluator::start(PartitionId partition) {
  if (plan_.record.topic != kNoSlot) {
    slots_[plan_.record.topic] = Value::of_string(plan_.topics.at(partition.topic));
  }
  if (plan_.record.partition != kNoSlot) {
    slots_[plan_.record.partition] = Value::of_int(partition.partition);
  }
}

Evaluator::Fate Evaluator::begin(const RecordView& record) {
  arena_.reset();
  record_ = record;
  steps_done_ = 0;
  if (record.value) [[likely]] {
    const bool is_large = record.value->size() > RecordBatch::kLargeBytes;
    arena_.set_limit_bytes(is_large ? std::max(plan_.memory_bytes, kArenaBytes) : kArenaBytes);
    return Fate::row;
  }
  if (plan_.tombstones == Tombstones::skip) return Fate::filtered;
  if (plan_.tombstones == Tombstones::remove) return read_tombstone();
  return reject(Stage::parse, "tombstone",
                "the record has no payload; 'parse.tombstones: skip' leaves such records out");
}

// Its key is all that it has.
Evaluator::Fate Evaluator::read_tombstone() {
  for (const std::uint32_t slot : plan_.fields) slots_[slot] = Value::absent(0);
  if (plan_.record.is_read) fill_record_slots();
  evaluate_steps(0, plan_.steps.size());
  return Fate::removal;
}

Evaluator::Fate Evaluator::evaluate() {
  std::string mismatch;
  if (!plan_.conform.apply(slots_, arena_, mismatch)) [[unlikely]] {
    return reject(Stage::parse, "wrong_type", std::move(mismatch));
  }
  if (plan_.record.is_read) fill_record_slots();
  if (plan_.where) {
    evaluate_steps(0, plan_.steps_for_where);
    const auto keeps = evaluate(*plan_.where, "where");
    if (!keeps) return Fate::reject;
    if (!*keeps) return Fate::filtered;
  }
  evaluate_steps(plan_.steps_for_where, plan_.steps.size());
  if (plan_.delete_when) {
    const auto removes = evaluate(*plan_.delete_when, "delete_when");
    if (!removes) return Fate::reject;
    if (*removes) return Fate::removal;
  }
  // Nearly always the first one is there.
  if (plan_.bare_fields.empty() || !slots_[plan_.bare_fields.front()].is_absent()) [[likely]] {
    return Fate::row;
  }
  return lacks_all_fields() ? reject_lack() : Fate::row;
}

void Evaluator::fill_record_slots() {
  const ExpressionPlan::RecordSlots& slots = plan_.record;
  if (slots.offset != kNoSlot) slots_[slots.offset] = Value::of_int(record_.offset);
  if (slots.timestamp != kNoSlot) slots_[slots.timestamp] = timestamp();
  if (slots.key != kNoSlot) {
    slots_[slots.key] = record_.key ? Value::of_bytes(*record_.key) : Value::absent(0);
  }
  if (slots.headers != kNoSlot) slots_[slots.headers] = headers();
  if (slots.value != kNoSlot) {
    slots_[slots.value] = record_.value ? Value::of_bytes(*record_.value) : Value::absent(0);
  }
  if (slots.value_text != kNoSlot && !record_.value) {
    slots_[slots.value_text] = Value::absent(0);
  } else if (slots.value_text != kNoSlot) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    std::string_view text = *record_.value;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    slots_[slots.value_text] = Value::of_json(text);
  }
}

// Kafka takes any 64 bits for a time.
Value Evaluator::timestamp() {
  if (record_.timestamp_ms < 0) return Value::absent(0);
  const cel::Instant instant = instant_of(record_.timestamp_ms);
  if (instant.seconds <= cel::kLastSecond) return Value::of_timestamp(instant);
  cel::EvalContext context{.arena = arena_};
  return context.fail(cel::ErrorCode::kOutOfRange,
                      {"record.timestamp is ", std::to_string(record_.timestamp_ms),
                       " ms, which is not between the years 1 and 9999"});
}

Value Evaluator::headers() {
  cel::MapBuilder map(arena_);
  HeaderReader reader = record_.headers();
  for (std::size_t number = 1; const auto header = reader.next(); ++number) {
    if (!text::is_valid_utf8(header->name)) [[unlikely]] {
      cel::EvalContext context{.arena = arena_};
      return context.fail(
          cel::ErrorCode::kInvalidArgument,
          {"record.headers: the name of header ", std::to_string(number), " is not text in UTF-8"});
    }
    map.add(Value::of_string(header->name),
            header->value ? Value::of_bytes(*header->value) : Value::null());
  }
  return map.finish();
}

// One that fails leaves its error in its slot: it is the record's failure only if somebody looks.
void Evaluator::evaluate_steps(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const ExpressionPlan::Step& step = plan_.steps[i];
    slots_[step.slot] = step.program.evaluate(slots_, arena_, frame_);
  }
  steps_done_ = end;
}

std::optional<bool> Evaluator::evaluate(const cel::Program& condition, std::string_view name) {
  const Value holds = condition.evaluate(slots_, arena_, frame_);
  if (holds.is_bool()) [[likely]]
    return holds.as_bool();
  if (holds.is_error()) {
    reject_evaluation(std::string(name), holds);
  } else if (holds.is_absent()) {
    reject(Stage::compute, "missing_field",
           std::format("{}: the field is not in the record", name));
  } else {
    reject(Stage::compute, "wrong_type",
           std::format("{}: neither true nor false but {}: {}", name, cel::to_string(holds.kind()),
                       shown(holds)));
  }
  return std::nullopt;
}

Evaluator::Fate Evaluator::reject(Stage stage, std::string_view reason, std::string message) {
  rejection_ = {stage, reason, std::move(message)};
  return Fate::reject;
}

Evaluator::Fate Evaluator::reject_evaluation(const std::string& place, const Value& error) {
  const cel::EvalError& what = error.as_error();
  std::string where = place;
  for (std::size_t i = 0; i < steps_done_; ++i) {
    const Value& value = slots_[plan_.steps[i].slot];
    if (value.is_error() && &value.as_error() == &what) {
      where = plan_.steps[i].place;
      break;
    }
  }
  return reject(stage_of(what.code), cel::to_string(what.code),
                std::format("{}: {}", where, cel::describe(what)));
}

bool Evaluator::is_missing(const ExpressionPlan::Column& column, const Value& value) {
  const std::string place = std::format("column \"{}\"", column.name);
  if (value.is_error()) {
    reject_evaluation(place, value);
    return false;
  }
  if (!value.absent_by_shape()) return true;
  const cel::InputPath& path = plan_.inputs.paths()[column.input];
  const cel::InputPath above{path.root,
                             {path.segments.begin(), path.segments.begin() + value.absent_depth()},
                             false,
                             false};
  const bool is_root = value.absent_depth() == 0;
  reject(Stage::parse, is_root ? "not_an_object" : "wrong_type",
         std::format("{}: there is no {}, because {} is {}, not an object", place, path.to_string(),
                     is_root ? "the document" : above.to_string(),
                     cel::described(value.absent_found())));
  return false;
}

// Wanted as columns, all of them missing, and nothing else of the document was wanted and found.
bool Evaluator::lacks_all_fields() const {
  const auto is_lacking = [this](std::uint32_t slot) {
    return slots_[slot].is_absent() && !slots_[slot].absent_by_shape();
  };
  return std::ranges::all_of(plan_.bare_fields, is_lacking) &&
         std::ranges::all_of(plan_.fields, is_lacking);
}

Evaluator::Fate Evaluator::reject_lack() {
  std::vector<std::string> wanted;
  std::vector<Segments> paths;
  for (const std::uint32_t slot : plan_.fields) {
    const cel::InputPath& path = plan_.inputs.paths()[slot];
    std::string name = path.to_string();
    if (std::ranges::contains(wanted, name)) continue;
    wanted.push_back(std::move(name));
    paths.emplace_back(path.segments);
  }
  return reject(Stage::encode, "missing_field",
                std::format("the record has none of the fields that are read, {}{}", listed(wanted),
                            what_is_there(paths)));
}

std::string Evaluator::missing_field(std::size_t i) const {
  const std::uint32_t input = plan_.columns[i].input;
  if (input == kNoSlot) return "its expression gives it no value";
  const cel::InputPath& path = plan_.inputs.paths()[input];
  if (path.root != "msg") return std::format("the record has no {}", path.to_string());
  if (!record_.value) return "a record without a payload has no msg: take it from record.key";
  const Segments segments(path.segments);
  return std::format("there is no {}{}", path.to_string(), what_is_there({&segments, 1}));
}

std::string Evaluator::what_is_there(std::span<const Segments> wanted) const {
  // Where all of them should be, or what is around it.
  Segments holder = wanted.front().first(wanted.front().size() - 1);
  for (const Segments path : wanted) {
    const auto apart = std::ranges::mismatch(holder, path.first(path.size() - 1));
    holder = holder.first(static_cast<std::size_t>(apart.in1 - holder.begin()));
  }
  std::vector<std::string> names = field_names_(*record_.value, holder);
  while (names.empty() && !holder.empty()) {
    holder = holder.first(holder.size() - 1);
    names = field_names_(*record_.value, holder);
  }
  if (names.empty()) return "; it has no fields";
  const std::string place =
      holder.empty() ? "it" : cel::InputPath{"msg", {holder.begin(), holder.end()}}.to_string();
  std::string text = std::format("; {} has {}", place, listed(names));
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  for (const Segments path : wanted) {
    const std::string_view name = path[holder.size()];
    if (std::ranges::contains(candidates, name)) continue;
    if (const std::string hint = text::did_you_mean(name, candidates); !hint.empty()) {
      return text + std::format(" (hint: for {}, {} Capitals count)", name, hint);
    }
  }
  return text;
}

}  // namespace penstock::compute
