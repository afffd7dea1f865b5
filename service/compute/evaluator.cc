#include "compute/evaluator.h"

#include <format>
#include <utility>

#include "cel/containers.h"
#include "cel/eval_error.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

using cel::Value;

constexpr std::uint32_t kNoSlot = ExpressionPlan::kNoSlot;
// A 16 MiB document as values, with room for what expressions make of it. Held for one record only.
constexpr std::size_t kArenaBytes = std::size_t{128} << 20;
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

}  // namespace

Evaluator::Evaluator(const ExpressionPlan& plan)
    : plan_(plan),
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
  if (record.value) [[likely]]
    return Fate::row;
  if (plan_.tombstones == Tombstones::skip) return Fate::filtered;
  return reject(Stage::parse, "tombstone",
                "the record has no payload; 'parse.tombstones: skip' leaves such records out");
}

Evaluator::Fate Evaluator::evaluate() {
  std::string mismatch;
  if (!plan_.conform.apply(slots_, arena_, mismatch)) [[unlikely]] {
    return reject(Stage::parse, "wrong_type", std::move(mismatch));
  }
  fill_record_slots();
  if (plan_.where) {
    evaluate_steps(0, plan_.steps_for_where);
    if (const Fate fate = evaluate_where(); fate != Fate::row) return fate;
  }
  evaluate_steps(plan_.steps_for_where, plan_.steps.size());
  return Fate::row;
}

void Evaluator::fill_record_slots() {
  const ExpressionPlan::RecordSlots& slots = plan_.record;
  if (slots.offset != kNoSlot) slots_[slots.offset] = Value::of_int(record_.offset);
  if (slots.timestamp != kNoSlot) {
    slots_[slots.timestamp] = record_.timestamp_ms < 0
                                  ? Value::absent(0)
                                  : Value::of_timestamp(instant_of(record_.timestamp_ms));
  }
  if (slots.key != kNoSlot) {
    slots_[slots.key] = record_.key ? Value::of_bytes(*record_.key) : Value::absent(0);
  }
  if (slots.headers != kNoSlot) slots_[slots.headers] = headers();
}

Value Evaluator::headers() {
  cel::MapBuilder map(arena_);
  HeaderReader reader = record_.headers();
  while (const auto header = reader.next()) {
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
}

Evaluator::Fate Evaluator::evaluate_where() {
  const Value keep = plan_.where->evaluate(slots_, arena_, frame_);
  if (keep.is_bool()) [[likely]]
    return keep.as_bool() ? Fate::row : Fate::filtered;
  if (keep.is_error()) return reject_evaluation("where", keep);
  if (keep.is_absent()) {
    return reject(Stage::compute, "missing_field", "where: the field is not in the record");
  }
  return reject(Stage::compute, "wrong_type",
                std::format("where: neither true nor false but {}: {}", cel::to_string(keep.kind()),
                            shown(keep)));
}

Evaluator::Fate Evaluator::reject(Stage stage, std::string_view reason, std::string message) {
  rejection_ = {stage, reason, std::move(message)};
  return Fate::reject;
}

Evaluator::Fate Evaluator::reject_evaluation(const std::string& place, const Value& error) {
  const cel::EvalError& what = error.as_error();
  std::string where = place;
  for (const ExpressionPlan::Step& step : plan_.steps) {
    const Value& value = slots_[step.slot];
    if (value.is_error() && &value.as_error() == &what) {
      where = step.place;
      break;
    }
  }
  return reject(Stage::compute, cel::to_string(what.code),
                std::format("{}: {}", where, cel::describe(what)));
}

void Evaluator::reject_column(const ExpressionPlan::Column& column, const Value& error) {
  reject_evaluation(std::format("column \"{}\"", column.name), error);
}

}  // namespace penstock::compute
