#include "compute/row_builder.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <format>
#include <limits>
#include <utility>

#include "compute/encode/field_writer.h"
#include "compute/plan.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

using cel::Value;

}  // namespace

RowBuilder::RowBuilder(const Projection& projection, const Target& target,
                       Evaluator::FieldNames field_names)
    : plan_(projection.plan()), target_(target), evaluator_(plan_.expressions, field_names) {
  for (std::size_t i = 0; i < plan_.column_indexes.size(); ++i) {
    const std::uint16_t index = plan_.column_indexes[i];
    if (target.is_key(index)) key_.push_back(i);
    if (target.deleted_at == index) mark_ = i;
    const bool is_version = target.deleted_at && target.newer_by == index;
    if (target.is_key(index) || target.deleted_at == index || is_version) removal_.push_back(i);
  }
}

void RowBuilder::start(std::unique_ptr<RecordBatch> source) {
  rows_ = std::make_unique<RowBatch>();
  TableRows& table = rows_->tables.emplace_back();
  table.target = &target_;
  // All of them now, so that append_row() cannot fail half way.
  table.rows.reserve(source->size());
  table.bytes.reserve(row_bytes_estimate_ * source->size());
  shapes_.clear();
  removal_shape_.reset();
  rows_->source = std::move(source);

  evaluator_.start(rows_->source->partition());
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
  index_ = index;
  return goes_on(evaluator_.begin(record));
}

void RowBuilder::finish_record() {
  if (!goes_on(evaluator_.evaluate())) return;
  if (!key_.empty() && !has_key()) return;
  begin_row();
  for (std::size_t i = 0; i < plan_.column_indexes.size(); ++i) {
    if (!add_column(i)) return;
  }
  if (fields_ == defaults_) [[unlikely]] {
    reject(Stage::encode, "missing_field", "no expression gives a column a value");
    return;
  }
  append_row(shape_of_row());
}

void RowBuilder::finish_removal() {
  if (!has_key()) return;
  begin_row();
  for (const std::size_t column : removal_) {
    if (!add_removal_column(column)) return;
  }
  append_row(shape_of_removal());
}

bool RowBuilder::add_removal_column(std::size_t column_number) {
  const std::uint16_t index = plan_.column_indexes[column_number];
  Value value;
  if (!evaluator_.column(column_number, value)) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  // One without a version would be older than any row, and without a time it would be no mark.
  if (!target_.is_key(index) && (value.is_absent() || value.is_null())) {
    reject(Stage::encode, "missing_field",
           std::format(
               "column \"{}\" has to say {} the row is deleted, and {}",
               plan_.table.columns[index].name,
               target_.newer_by == index ? "at which version" : "when",
               value.is_null() ? "its value is null" : evaluator_.missing_field(column_number)));
    return false;
  }
  return add_value(index, value);
}

void RowBuilder::begin_row() {
  row_.clear();
  std::ignore = row_.extend(sizeof fields_);
  fields_ = 0;
  defaults_ = 0;
  left_out_.clear();
}

bool RowBuilder::goes_on(Evaluator::Fate fate) {
  if (fate == Evaluator::Fate::row) [[likely]]
    return true;
  if (fate == Evaluator::Fate::filtered) {
    ++rows_->filtered;
  } else if (fate == Evaluator::Fate::removal) {
    finish_removal();
  } else {
    reject_evaluation();
  }
  return false;
}

void RowBuilder::reject(Stage stage, std::string_view reason, std::string message) {
  rows_->rejects.push_back({index_, stage, std::string(reason), std::move(message), ""});
}

bool RowBuilder::has_key() {
  for (const std::size_t column_number : key_) {
    Value value;
    if (!evaluator_.column(column_number, value)) [[unlikely]] {
      reject_evaluation();
      return false;
    }
    if (!value.is_absent() && !value.is_null()) [[likely]]
      continue;
    reject(Stage::encode, "null_key",
           std::format(
               "column \"{}\" is of the key, and {}",
               plan_.table.columns[plan_.column_indexes[column_number]].name,
               value.is_null() ? "its value is null" : evaluator_.missing_field(column_number)));
    return false;
  }
  return true;
}

bool RowBuilder::add_column(std::size_t column_number) {
  const std::uint16_t index = plan_.column_indexes[column_number];
  const ColumnDescription& description = plan_.table.columns[index];
  if (mark_ == column_number) [[unlikely]] {  // the row is there, or there again
    ++defaults_;
    return add_value(index, Value::null());
  }
  Value value;
  if (!evaluator_.column(column_number, value)) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  if (value.is_absent() && target_.newer_by == index) value = Value::null();  // older than any
  if (value.is_absent()) {
    if (target_.replaces()) {  // a row that is there keeps what it has
      left_out_.push_back(index);
      return true;
    }
    // What its absence means, if that is known, rather than leaving it out: so the rows stay of one
    // shape, and go by COPY.
    if (const std::string& field = description.default_field; !field.empty()) {
      std::memcpy(row_.extend(field.size()), field.data(), field.size());
      ++fields_;
      ++defaults_;
      return true;
    }
    if (description.has_default) {
      left_out_.push_back(index);
      return true;
    }
    if (description.not_null) [[unlikely]] {
      reject(Stage::encode, "missing_field",
             std::format("column \"{}\" is NOT NULL without a default, and {}", description.name,
                         evaluator_.missing_field(column_number)));
      return false;
    }
    value = Value::null();
  }
  return add_value(index, value);
}

bool RowBuilder::add_value(std::uint16_t index, const Value& value) {
  const ColumnDescription& description = plan_.table.columns[index];
  if (!encode_field(description, value, row_, problem_)) [[unlikely]] {
    reject_encoding(description, value);
    return false;
  }
  ++fields_;
  return true;
}

void RowBuilder::reject_evaluation() {
  Evaluator::Rejection& why = evaluator_.rejection();
  reject(why.stage, why.reason, std::move(why.message));
}

void RowBuilder::reject_encoding(const ColumnDescription& column, const Value& value) {
  std::string message = std::format("column \"{}\": {}; the value is {}", column.name,
                                    problem_.message, shown(value));
  if (!problem_.hint.empty()) message += std::format(" (hint: {})", problem_.hint);
  reject(Stage::encode, problem_.reason, std::move(message));
}

// ---- The row
// -----------------------------------------------------------------------------------------

void RowBuilder::append_row(std::size_t shape) {
  store(row_.at(0), fields_);
  TableRows& table = rows_->tables.front();
  if (table.bytes.size() + row_.size() > std::numeric_limits<std::uint32_t>::max()) [[unlikely]] {
    reject(Stage::encode, "too_large", "the batch has no room for this row: 4 GiB of rows");
    return;
  }
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

std::size_t RowBuilder::shape_of_removal() {
  std::vector<RowShape>& shapes = rows_->tables.front().shapes;
  if (!removal_shape_) {
    removal_shape_ = shapes.size();
    RowShape& shape = shapes.emplace_back();
    // Of two versions, one of which says that the row is gone, the newer one wins as ever.
    shape.removes = !(target_.deleted_at && target_.newer_by);
    for (const std::size_t column : removal_) shape.columns.push_back(plan_.column_indexes[column]);
  }
  return *removal_shape_;
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
