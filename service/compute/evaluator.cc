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

// Value::absent() says what is where it should be.
Value part_of(const Value& whole, Evaluator::Segments segments) {
  const Value* at = &whole;
  for (std::uint32_t depth = 0; depth < segments.size(); ++depth) {
    if (!at->is_map()) return Value::absent(depth, at->kind());
    const Value* const found = at->as_map().find(segments[depth]);
    if (found == nullptr) return Value::absent(depth);
    at = found;
  }
  return *at;
}

}  // namespace

Evaluator::Evaluator(const ExpressionPlan& plan, FieldNames field_names)
    : plan_(plan),
      field_names_(field_names),
      arena_(kArenaBytes, kArenaKeepBytes),
      slots_(plan.inputs.size(), Value::absent(0)),
      route_(&plan.routes.front()) {}

void Evaluator::start(PartitionId partition) {
  if (plan_.record.topic != kNoSlot) {
    slots_[plan_.record.topic] = Value::of_string(plan_.topics.name(partition.topic));
  }
  if (plan_.record.partition != kNoSlot) {
    slots_[plan_.record.partition] = Value::of_int(partition.partition);
  }
}

Evaluator::Fate Evaluator::begin(const RecordView& record) {
  arena_.reset();
  record_ = record;
  steps_done_ = 0;
  list_steps_done_ = row_steps_done_ = is_tombstone_ = in_route_ = false;
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
  is_tombstone_ = true;
  for (const std::uint32_t slot : plan_.fields) slots_[slot] = Value::absent(0);
  if (plan_.record.is_read) fill_record_slots();
  evaluate_steps(plan_.steps);
  steps_done_ = plan_.steps.size();
  return Fate::removal;
}

Evaluator::Fate Evaluator::evaluate() {
  std::string mismatch;
  if (!plan_.conform.apply(slots_, arena_, mismatch)) [[unlikely]] {
    return reject(Stage::parse, "wrong_type", mismatch);
  }
  if (plan_.record.is_read) fill_record_slots();
  const std::span<const ExpressionPlan::Step> steps(plan_.steps);
  if (plan_.where) {
    evaluate_steps(steps.first(plan_.steps_for_where));
    steps_done_ = plan_.steps_for_where;
    const auto keeps = evaluate(*plan_.where, "where");
    if (!keeps) return Fate::reject;
    if (!*keeps) return Fate::filtered;
  }
  evaluate_steps(steps.subspan(plan_.steps_for_where));
  steps_done_ = steps.size();
  return Fate::row;
}

Evaluator::Fate Evaluator::begin_route(std::size_t route) {
  route_ = &plan_.routes[route];
  in_route_ = true;
  list_steps_done_ = row_steps_done_ = false;
  rows_ = begun_ = 0;
  if (route_->when) {
    const auto takes = evaluate(*route_->when, "when");
    if (!takes) return Fate::reject;
    if (!*takes) return Fate::filtered;
  }
  if (is_tombstone_) {
    rows_ = route_->takes_tombstones ? 1 : 0;
    return Fate::row;
  }
  if (!route_->for_each) {
    rows_ = 1;
    return Fate::row;
  }
  return read_list() ? Fate::row : Fate::reject;
}

bool Evaluator::read_list() {
  evaluate_steps(route_->steps_for_list);
  list_steps_done_ = true;
  Value list = route_->for_each->evaluate(slots_, arena_, frame_);
  list_ = {};
  if (list.is_optional()) {
    if (list.as_optional() == nullptr) return true;
    list = *list.as_optional();
  }
  if (list.is_list()) [[likely]] {
    list_ = list.as_list();
    rows_ = list_.size;
    return true;
  }
  if (list.is_error()) {
    reject_evaluation("for_each", list);
  } else if (list.is_absent() && !list.absent_by_shape()) {
    reject(Stage::compute, "missing_field",
           "for_each: the list is not in the record (hint: where that means no rows, write it with "
           "a question mark, such as msg.?items)");
  } else if (list.is_absent() && route_->for_each->direct_input()) {
    reject_shape("for_each", *route_->for_each->direct_input(), list);
  } else {
    const bool is_below = list.is_absent();
    const cel::Kind found = is_below ? list.absent_found() : list.kind();
    reject(
        Stage::compute, "wrong_type",
        std::format("for_each: {} {}, not {}", is_below ? "what the list should be in is" : "it is",
                    cel::described(found), is_below ? "an object" : "a list"));
  }
  return false;
}

bool Evaluator::next_row() {
  if (begun_ == rows_) return false;
  row_steps_done_ = false;
  if (route_->for_each && !is_tombstone_) {
    item_ = list_[begun_];
    fill_item_slots();
  }
  ++begun_;
  return true;
}

void Evaluator::fill_item_slots() {
  for (const std::uint32_t slot : route_->item_slots) {
    slots_[slot] = part_of(item_, plan_.inputs.paths()[slot].segments);
  }
  if (route_->index != kNoSlot) slots_[route_->index] = Value::of_int(begun_);
}

Evaluator::Fate Evaluator::begin_row() {
  in_route_ = true;
  evaluate_steps(route_->steps);
  row_steps_done_ = true;
  if (is_tombstone_) return Fate::removal;
  if (route_->delete_when) {
    const auto removes = evaluate(*route_->delete_when, "delete_when");
    if (!removes) return Fate::reject;
    if (*removes) return Fate::removal;
  }
  // Nearly always the first one is there.
  const std::vector<std::uint32_t>& bare_fields = route_->bare_fields;
  if (bare_fields.empty() || !slots_[bare_fields.front()].is_absent()) [[likely]] {
    return Fate::row;
  }
  return lacks_all_fields() ? reject_lack() : Fate::row;
}

bool Evaluator::has_key(std::span<const std::size_t> key) {
  for (const std::size_t number : key) {
    Value value;
    if (!column(number, value)) [[unlikely]]
      return false;
    if (!value.is_absent() && !value.is_null()) [[likely]]
      continue;
    reject(Stage::encode, "null_key",
           std::format("column \"{}\" is of the key, and {}", route_->columns[number].name,
                       value.is_null() ? "its value is null" : missing_field(number)));
    return false;
  }
  return true;
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
void Evaluator::evaluate_steps(std::span<const ExpressionPlan::Step> steps) {
  for (const ExpressionPlan::Step& step : steps) {
    slots_[step.slot] = step.program.evaluate(slots_, arena_, frame_);
  }
}

std::optional<bool> Evaluator::evaluate(const cel::Program& condition, std::string_view name) {
  const Value holds = condition.evaluate(slots_, arena_, frame_);
  if (holds.is_bool()) [[likely]]
    return holds.as_bool();
  if (holds.is_error()) {
    reject_evaluation(std::string(name), holds);
  } else if (holds.is_absent()) {
    const std::uint32_t input = condition.direct_input().value_or(kNoSlot);
    if (holds.absent_by_shape() && input != kNoSlot) {
      reject_shape(name, input, holds);
    } else {
      reject(Stage::compute, "missing_field", std::format("{}: {}", name, what_is_missing(input)));
    }
  } else {
    reject(Stage::compute, "wrong_type",
           std::format("{}: neither true nor false but {}: {}", name, cel::to_string(holds.kind()),
                       shown(holds)));
  }
  return std::nullopt;
}

std::string Evaluator::row_place() const {
  if (!in_route_) return {};
  std::string place = route_->name;
  if (route_->for_each && begun_ > 0) {
    place += std::format("{}index {}", place.empty() ? "" : ", ", begun_ - 1);
  }
  return place.empty() ? place : place + ": ";
}

void Evaluator::reject_unrouted() {
  in_route_ = false;
  reject(Stage::compute, "no_route",
         "the `when` of no route is true of it; 'otherwise: drop' leaves such records out");
}

Evaluator::Fate Evaluator::reject(Stage stage, std::string_view reason,
                                  const std::string& message) {
  rejection_ = {stage, reason, row_place() + message};
  return Fate::reject;
}

const std::string* Evaluator::place_of(const cel::EvalError& error,
                                       std::span<const ExpressionPlan::Step> steps) const {
  const auto found = std::ranges::find_if(steps, [&](const ExpressionPlan::Step& step) {
    const Value& value = slots_[step.slot];
    return value.is_error() && &value.as_error() == &error;
  });
  return found == steps.end() ? nullptr : &found->place;
}

Evaluator::Fate Evaluator::reject_evaluation(const std::string& place, const Value& error) {
  const cel::EvalError& what = error.as_error();
  const std::string* where = place_of(what, std::span(plan_.steps).first(steps_done_));
  if (where == nullptr && list_steps_done_) where = place_of(what, route_->steps_for_list);
  if (where == nullptr && row_steps_done_) where = place_of(what, route_->steps);
  return reject(stage_of(what.code), cel::to_string(what.code),
                std::format("{}: {}", where == nullptr ? place : *where, cel::describe(what)));
}

bool Evaluator::is_missing(const ExpressionPlan::Column& column, const Value& value) {
  const std::string place = std::format("column \"{}\"", column.name);
  if (value.is_error()) {
    reject_evaluation(place, value);
    return false;
  }
  if (!value.absent_by_shape()) return true;
  reject_shape(place, column.input, value);
  return false;
}

void Evaluator::reject_shape(std::string_view place, std::uint32_t input, const Value& value) {
  const cel::InputPath& path = plan_.inputs.paths()[plan_.origins[input]];
  const cel::InputPath above{path.root,
                             {path.segments.begin(), path.segments.begin() + value.absent_depth()},
                             false,
                             false};
  const bool is_root = value.absent_depth() == 0;
  reject(Stage::parse, is_root ? "not_an_object" : "wrong_type",
         std::format("{}: there is no {}, because {} is {}, not an object", place, path.to_string(),
                     !is_root              ? above.to_string()
                     : path.root == "item" ? path.root
                                           : "the document",
                     cel::described(value.absent_found())));
}

// Wanted as columns, all of them missing, and nothing else of the document was wanted and found.
bool Evaluator::lacks_all_fields() const {
  const auto is_lacking = [this](std::uint32_t slot) {
    return slots_[slot].is_absent() && !slots_[slot].absent_by_shape();
  };
  return std::ranges::all_of(route_->bare_fields, is_lacking) &&
         std::ranges::all_of(route_->fields, is_lacking);
}

Evaluator::Fate Evaluator::reject_lack() {
  std::vector<std::string> wanted;
  std::vector<Segments> paths;
  for (const std::uint32_t slot : route_->fields) {
    const cel::InputPath& path = plan_.inputs.paths()[slot];
    std::string name = path.to_string();
    if (std::ranges::contains(wanted, name)) continue;
    wanted.push_back(std::move(name));
    paths.emplace_back(path.segments);
  }
  return reject(Stage::encode, "missing_field",
                std::format("the {} has none of the fields that are read, {}{}",
                            route_->for_each ? "item" : "record", listed(wanted),
                            what_is_there(route_->for_each ? "item" : "msg", paths)));
}

std::string Evaluator::missing_field(std::size_t i) const {
  return what_is_missing(route_->columns[i].input);
}

std::string Evaluator::what_is_missing(std::uint32_t input) const {
  if (input == kNoSlot) return "its expression gives it no value";
  const cel::InputPath& path = plan_.inputs.paths()[plan_.origins[input]];
  if (path.root == "record") return std::format("the record has no {}", path.to_string());
  if (!record_.value) return "a record without a payload has no msg: take it from record.key";
  const Segments segments(path.segments);
  return std::format("there is no {}{}", path.to_string(),
                     what_is_there(path.root, {&segments, 1}));
}

std::vector<std::string> Evaluator::names_at(std::string_view root, Segments path) const {
  if (root == "msg") return field_names_(*record_.value, path);
  std::vector<std::string> names;
  const Value object = part_of(item_, path);
  if (!object.is_map()) return names;
  for (const cel::MapEntry& entry : object.as_map().entries()) {
    if (entry.key.is_string()) names.emplace_back(entry.key.as_string());
  }
  return names;
}

std::string Evaluator::what_is_there(std::string_view root,
                                     std::span<const Segments> wanted) const {
  // Where all of them should be, or what is around it.
  Segments holder = wanted.front().first(wanted.front().size() - 1);
  for (const Segments path : wanted) {
    const auto apart = std::ranges::mismatch(holder, path.first(path.size() - 1));
    holder = holder.first(static_cast<std::size_t>(apart.in1 - holder.begin()));
  }
  std::vector<std::string> names = names_at(root, holder);
  while (names.empty() && !holder.empty()) {
    holder = holder.first(holder.size() - 1);
    names = names_at(root, holder);
  }
  if (names.empty()) return "; it has no fields";
  const std::string place =
      holder.empty() && root == "msg"
          ? "it"
          : cel::InputPath{std::string(root), {holder.begin(), holder.end()}}.to_string();
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
