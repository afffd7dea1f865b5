#include "compute/row_builder.h"

#include <cstring>
#include <format>
#include <utility>

#include "compute/encode/field_writer.h"
#include "compute/plan.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

using cel::Value;
using Fate = Evaluator::Fate;

}  // namespace

RowBuilder::RowBuilder(const Projection& projection, std::span<const Target> targets,
                       Evaluator::FieldNames field_names)
    : plan_(projection.plan().expressions),
      is_plain_(plan_.is_plain()),
      evaluator_(plan_, field_names) {
  const std::vector<Projection::Plan::Table>& tables = projection.plan().tables;
  for (std::size_t i = 0; i < tables.size(); ++i) tables_.emplace_back(tables[i], targets[i]);
}

void RowBuilder::start(std::unique_ptr<RecordBatch> source) {
  rows_ = std::make_unique<RowBatch>();
  // Where every record is a row, room for all of them at once.
  for (TableBuilder& table : tables_) table.start(is_plain_ ? source->size() : 0);
  rows_->source = std::move(source);

  evaluator_.start(rows_->source->partition());
}

std::unique_ptr<RowBatch> RowBuilder::finish() {
  for (TableBuilder& table : tables_) {
    TableRows rows = table.finish();
    if (!rows.rows.empty()) rows_->tables.push_back(std::move(rows));
  }
  return std::move(rows_);
}

bool RowBuilder::begin_record(std::uint32_t index, const RecordView& record) {
  index_ = index;
  target_ = nullptr;
  const Fate fate = evaluator_.begin(record);
  if (fate == Fate::row) [[likely]]
    return true;
  if (fate == Fate::removal) {
    add_rows();
    return false;
  }
  return goes_on(fate);
}

void RowBuilder::finish_record() {
  if (goes_on(evaluator_.evaluate())) add_rows();
}

bool RowBuilder::goes_on(Fate fate) {
  if (fate == Fate::row) [[likely]]
    return true;
  if (fate == Fate::filtered) {
    ++rows_->filtered;
  } else {
    reject_evaluation();
  }
  return false;
}

void RowBuilder::add_rows() {
  if (is_plain_) [[likely]] {
    std::ignore = add_row(tables_.front());
  } else {
    add_routes();
  }
}

void RowBuilder::add_routes() {
  bool is_routed = false;
  bool has_rows = false;
  record_bytes_ = 0;
  for (std::size_t i = 0; i < tables_.size() && !(is_routed && plan_.first_route_only); ++i) {
    target_ = &tables_[i].target();
    const Fate fate = evaluator_.begin_route(i);
    if (fate == Fate::filtered) continue;
    if (fate == Fate::reject) return reject_evaluation();
    is_routed = true;
    while (evaluator_.next_row()) {
      if (!add_row(tables_[i])) return;
      has_rows = true;
    }
  }
  if (has_rows) return;
  if (is_routed || plan_.drops_unrouted) {
    ++rows_->filtered;
  } else {
    target_ = nullptr;
    evaluator_.reject_unrouted();
    reject_evaluation();
  }
}

void RowBuilder::reject(Stage stage, std::string_view reason, std::string message) {
  for (TableBuilder& table : tables_) table.take_back(index_);
  rows_->rejects.push_back({.record = index_,
                            .stage = stage,
                            .reason = std::string(reason),
                            .message = std::move(message),
                            .sqlstate = "",
                            .target = target_});
}

void RowBuilder::reject_row(std::string_view reason, const std::string& message) {
  reject(Stage::encode, reason, evaluator_.row_place() + message);
}

void RowBuilder::reject_evaluation() {
  Evaluator::Rejection& why = evaluator_.rejection();
  reject(why.stage, why.reason, std::move(why.message));
}

void RowBuilder::reject_encoding(const ColumnDescription& column, const Value& value) {
  std::string message = std::format("column \"{}\": {}; the value is {}", column.name,
                                    problem_.message, shown(value));
  if (!problem_.hint.empty()) message += std::format(" (hint: {})", problem_.hint);
  reject_row(problem_.reason, message);
}

// ---- The row
// -----------------------------------------------------------------------------------------

bool RowBuilder::add_row(TableBuilder& table) {
  const Fate fate = evaluator_.begin_row();
  if (fate == Fate::reject) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  if (!evaluator_.has_key(table.key())) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  row_.clear();
  std::ignore = row_.extend(sizeof fields_);
  fields_ = 0;
  defaults_ = 0;
  table.begin_row();
  if (fate == Fate::removal) {
    for (const std::size_t column : table.removal()) {
      if (!add_removal_column(table, column)) return false;
    }
    return append_row(table, /*removes=*/true);
  }
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    if (!add_column(table, i)) return false;
  }
  if (fields_ == defaults_) [[unlikely]] {
    reject_row("missing_field", "no expression gives a column a value");
    return false;
  }
  return append_row(table, /*removes=*/false);
}

bool RowBuilder::append_row(TableBuilder& table, bool removes) {
  store(row_.at(0), fields_);
  const std::string_view tuple = row_.view();
  if (!is_plain_) {
    record_bytes_ += tuple.size() + sizeof(TableRows::Row);
    if (record_bytes_ > plan_.memory_bytes) [[unlikely]] {
      reject_row("too_large", std::format("the rows of this record take more than the {} bytes of "
                                          "resources.memory_bytes",
                                          plan_.memory_bytes));
      return false;
    }
  }
  const TableBuilder::Added added =
      removes ? table.add_removal(index_, tuple) : table.add_row(index_, tuple);
  if (added == TableBuilder::Added::added) [[likely]]
    return true;
  if (added == TableBuilder::Added::too_large) {
    reject_row("too_large", "the batch has no room for this row: 4 GiB of rows");
  } else {
    reject_row("too_many_shapes",
               "the records of this batch leave out columns in more than 65536 ways");
  }
  return false;
}

bool RowBuilder::add_column(TableBuilder& table, std::size_t column_number) {
  const std::uint16_t index = table.columns()[column_number];
  const ColumnDescription& description = table.description().columns[index];
  const Target& target = table.target();
  if (table.mark() == column_number) [[unlikely]] {  // the row is there, or there again
    ++defaults_;
    return add_value(description, Value::null());
  }
  Value value;
  if (!evaluator_.column(column_number, value)) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  if (value.is_absent() && target.newer_by == index) value = Value::null();  // older than any
  if (value.is_absent()) {
    if (target.replaces()) {  // a row that is there keeps what it has
      table.leave_out(index);
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
      table.leave_out(index);
      return true;
    }
    if (description.not_null) [[unlikely]] {
      reject_row("missing_field",
                 std::format("column \"{}\" is NOT NULL without a default, and {}",
                             description.name, evaluator_.missing_field(column_number)));
      return false;
    }
    value = Value::null();
  }
  return add_value(description, value);
}

bool RowBuilder::add_removal_column(const TableBuilder& table, std::size_t column_number) {
  const std::uint16_t index = table.columns()[column_number];
  const ColumnDescription& description = table.description().columns[index];
  const Target& target = table.target();
  Value value;
  if (!evaluator_.column(column_number, value)) [[unlikely]] {
    reject_evaluation();
    return false;
  }
  // One without a version would be older than any row, and without a time it would be no mark.
  if (!target.is_key(index) && (value.is_absent() || value.is_null())) [[unlikely]] {
    reject_row("missing_field",
               std::format("column \"{}\" has to say {} the row is deleted, and {}",
                           description.name, target.newer_by == index ? "at which version" : "when",
                           value.is_null() ? "its value is null"
                                           : evaluator_.missing_field(column_number)));
    return false;
  }
  return add_value(description, value);
}

bool RowBuilder::add_value(const ColumnDescription& column, const Value& value) {
  if (!encode_field(column, value, row_, problem_)) [[unlikely]] {
    reject_encoding(column, value);
    return false;
  }
  ++fields_;
  return true;
}

}  // namespace penstock::compute
