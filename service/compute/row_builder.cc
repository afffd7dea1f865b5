#include "compute/row_builder.h"

#include <algorithm>
#include <cassert>
#include <format>
#include <limits>
#include <utility>

#include "cel/containers.h"
#include "cel/eval_error.h"
#include "compute/encode/field_writer.h"
#include "compute/plan.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

using cel::Value;

constexpr std::uint32_t kNoSlot = Projection::Plan::kNoSlot;
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

RowBuilder::RowBuilder(const Projection& projection)
    : plan_(projection.plan()),
      arena_(kArenaBytes, kArenaKeepBytes),
      slots_(plan_.inputs.size(), Value::absent(0)) {}

void RowBuilder::start(std::unique_ptr<RecordBatch> source) {
  rows_ = std::make_unique<RowBatch>();
  TableRows& table = rows_->tables.emplace_back();
  // All of them now, so that append_row() cannot fail half way.
  table.rows.reserve(source->size());
  table.bytes.reserve(row_bytes_estimate_ * source->size());
  shapes_.clear();
  rows_->source = std::move(source);

  const PartitionId id = rows_->source->partition();
  if (plan_.record.topic != kNoSlot) {
    slots_[plan_.record.topic] = Value::of_string(plan_.topics.at(id.topic));
  }
  if (plan_.record.partition != kNoSlot) {
    slots_[plan_.record.partition] = Value::of_int(id.partition);
  }
}

std::unique_ptr<RowBatch> RowBuilder::finish() {
  const TableRows& table = rows_->tables.front();
  if (table.rows.empty()) {
    rows_->tables.clear();
  } else {
    row_bytes_estimate_ = table.bytes.size() / table.rows.size() * 9 / 8 + 16;
  }
  return std::move(rows_);
}

bool RowBuilder::begin_record(std::uint32_t index, const RecordView& record) {
  arena_.reset();
  index_ = index;
  record_ = record;
  if (record.value) [[likely]]
    return true;
  if (plan_.tombstones == Tombstones::skip) {
    ++rows_->filtered;
  } else {
    reject(Stage::parse, "tombstone",
           "the record has no payload; 'parse.json.tombstones: SKIP' leaves such records out");
  }
  return false;
}

void RowBuilder::finish_record() {
  std::string mismatch;
  if (!plan_.conform.apply(slots_, arena_, mismatch)) [[unlikely]] {
    reject(Stage::parse, "wrong_type", std::move(mismatch));
    return;
  }
  fill_record_slots();
  if (plan_.where && !passes_where()) return;
  evaluate_steps(plan_.steps_for_where, plan_.steps.size());
  row_.clear();
  std::ignore = row_.extend(sizeof fields_);
  fields_ = 0;
  left_out_.clear();
  for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
    if (!add_column(i)) return;
  }
  append_row();
}

void RowBuilder::reject(Stage stage, std::string_view reason, std::string message) {
  rows_->rejects.push_back({index_, stage, std::string(reason), std::move(message), ""});
}

// ---- What expressions see of the record itself
// ---------------------------------------------------

void RowBuilder::fill_record_slots() {
  const Projection::Plan::RecordSlots& slots = plan_.record;
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

Value RowBuilder::headers() {
  cel::MapBuilder map(arena_);
  HeaderReader reader = record_.headers();
  while (const auto header = reader.next()) {
    map.add(Value::of_string(header->name),
            header->value ? Value::of_bytes(*header->value) : Value::null());
  }
  return map.finish();
}

// ---- Evaluation
// ------------------------------------------------------------------------------------

// One that fails leaves its error in its slot: it is the record's failure only if somebody looks.
void RowBuilder::evaluate_steps(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const Projection::Plan::Step& step = plan_.steps[i];
    slots_[step.slot] = step.program.evaluate(slots_, arena_, frame_);
  }
}

bool RowBuilder::passes_where() {
  evaluate_steps(0, plan_.steps_for_where);
  const Value keep = plan_.where->evaluate(slots_, arena_, frame_);
  if (keep.is_bool()) [[likely]] {
    if (!keep.as_bool()) ++rows_->filtered;
    return keep.as_bool();
  }
  if (keep.is_error()) {
    reject_evaluation("where", keep);
  } else if (keep.is_absent()) {
    reject(Stage::compute, "missing_field", "where: the field is not in the record");
  } else {
    reject(Stage::compute, "wrong_type",
           std::format("where: neither true nor false but {}: {}", cel::to_string(keep.kind()),
                       shown(keep)));
  }
  return false;
}

bool RowBuilder::add_column(std::size_t column_number) {
  const Projection::Plan::Column& column = plan_.columns[column_number];
  const ColumnDescription& description = plan_.table.columns[column.index];
  Value value = column.input != kNoSlot ? slots_[column.input]
                                        : column.program.evaluate(slots_, arena_, frame_);
  if (value.is_optional()) {
    value = value.as_optional() == nullptr ? Value::absent(0) : *value.as_optional();
  }
  if (value.is_error()) [[unlikely]] {
    reject_evaluation(std::format("column \"{}\"", description.name), value);
    return false;
  }
  if (value.is_absent()) {
    if (description.has_default) {
      left_out_.push_back(column.index);
      return true;
    }
    if (description.not_null) [[unlikely]] {
      reject(
          Stage::encode, "missing_field",
          std::format("column \"{}\": the field is not in the record, and the column is NOT NULL "
                      "without a default",
                      description.name));
      return false;
    }
    // Its default is NULL. Saying so, rather than leaving it out, keeps the rows of one shape.
    value = Value::null();
  }
  if (!encode_field(description, value, row_, problem_)) [[unlikely]] {
    reject_encoding(description, value);
    return false;
  }
  ++fields_;
  return true;
}

void RowBuilder::reject_evaluation(const std::string& place, const Value& error) {
  const cel::EvalError& what = error.as_error();
  std::string where = place;
  for (const Projection::Plan::Step& step : plan_.steps) {
    const Value& value = slots_[step.slot];
    if (value.is_error() && &value.as_error() == &what) {
      where = step.place;
      break;
    }
  }
  reject(Stage::compute, cel::to_string(what.code),
         std::format("{}: {}", where, cel::describe(what)));
}

void RowBuilder::reject_encoding(const ColumnDescription& column, const Value& value) {
  std::string message = std::format("column \"{}\": {}; the value is {}", column.name,
                                    problem_.message, shown(value));
  if (!problem_.hint.empty()) message += std::format(" (hint: {})", problem_.hint);
  reject(Stage::encode, problem_.reason, std::move(message));
}

// ---- The row
// -----------------------------------------------------------------------------------------

void RowBuilder::append_row() {
  if (fields_ == 0) [[unlikely]] {
    reject(Stage::encode, "missing_field", "none of the columns' fields is in the record");
    return;
  }
  store(row_.at(0), fields_);
  TableRows& table = rows_->tables.front();
  if (table.bytes.size() + row_.size() > std::numeric_limits<std::uint32_t>::max()) [[unlikely]] {
    reject(Stage::encode, "too_large", "the batch has no room for this row: 4 GiB of rows");
    return;
  }
  const std::size_t shape = shape_of_row();
  if (shape > std::numeric_limits<std::uint16_t>::max()) [[unlikely]] {
    reject(Stage::encode, "too_many_shapes",
           "the records of this batch leave out columns in more than 65536 ways");
    return;
  }
  const auto row = static_cast<std::uint32_t>(table.rows.size());
  const auto begin = static_cast<std::uint32_t>(table.bytes.size());
  const bool new_run = table.runs.empty() || table.runs.back().shape != shape;
  if (new_run && table.runs.size() == table.runs.capacity()) {
    table.runs.reserve(2 * table.runs.size() + 1);
  }
  const std::string_view bytes = row_.view();
  table.bytes.insert(table.bytes.end(), bytes.begin(), bytes.end());
  if (new_run) table.runs.push_back({row, static_cast<std::uint16_t>(shape)});
  assert(table.rows.size() < table.rows.capacity());
  table.rows.push_back({index_, begin});
}

std::size_t RowBuilder::shape_of_row() {
  if (!shapes_.empty() && left_out_ == last_left_out_) [[likely]]
    return last_shape_;
  std::vector<RowShape>& shapes = rows_->tables.front().shapes;
  const auto [known, is_new] = shapes_.try_emplace(left_out_, shapes.size());
  if (is_new) {
    RowShape shape;
    std::ranges::set_difference(plan_.column_indexes, left_out_, std::back_inserter(shape.columns));
    shapes.push_back(std::move(shape));
  }
  last_left_out_ = left_out_;
  last_shape_ = known->second;
  return last_shape_;
}

}  // namespace penstock::compute
