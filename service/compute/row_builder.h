// Records of one batch → encoded rows and rejects: what is common to all payload formats.
//
// Place in the flow: BatchProcessor (process_batch.h) drives it, record by record, together with a
// reader of the payload's format. Every record ends as exactly one of these: it has rows, is a
// reject, or is filtered. One that fails in one row is a reject, and has no row in any table.
//
// Threads: one thread at a time; one per worker. The Projection and the targets must outlive it.
// Memory: the evaluator's memory and the row buffer are kept from record to record; a good record
// allocates nothing but the growth of its batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "compute/evaluator.h"
#include "compute/projection.h"
#include "compute/table_builder.h"
#include "core/plan.h"
#include "core/row_batch.h"

namespace penstock::compute {

class RowBuilder {
 public:
  // `targets`: one for each route of the projection.
  RowBuilder(const Projection& projection, std::span<const Target> targets,
             Evaluator::FieldNames field_names);

  // Begins a batch; finish() gives what became of it.
  void start(std::unique_ptr<RecordBatch> source);
  [[nodiscard]] const RecordBatch& source() const { return *rows_->source; }
  [[nodiscard]] std::unique_ptr<RowBatch> finish();
  // Of all rows of the batch so far.
  [[nodiscard]] std::size_t row_bytes() const {
    std::size_t bytes = 0;
    for (const TableBuilder& table : tables_) bytes += table.row_bytes();
    return bytes;
  }
  // The batch ends before this record, which has not begun; what is left is RowBatch::rest.
  void cut(std::size_t record) { rows_->rest = rows_->source->split_off(record); }

  // The arena and the slots for the reader. Everything of the record before is forgotten.
  [[nodiscard]] cel::Arena& arena() { return evaluator_.arena(); }
  [[nodiscard]] std::span<cel::Value> slots() { return evaluator_.slots(); }

  // Begins record number `index`. False: it is done (a tombstone).
  [[nodiscard]] bool begin_record(std::uint32_t index, const RecordView& record);
  // Ends it: evaluates `where`, lets, routes and columns over the slots, and appends its rows.
  void finish_record();
  // Ends it: a dead letter, with nothing left of its rows.
  void reject(Stage stage, std::string_view reason, std::string message);

 private:
  // False: the record is done, as filtered or as a reject.
  [[nodiscard]] bool goes_on(Evaluator::Fate fate);
  void add_rows();
  void add_routes();
  // False: a reject. So are all that follow.
  [[nodiscard]] bool add_row(TableBuilder& table);
  [[nodiscard]] bool add_column(TableBuilder& table, std::size_t column);
  [[nodiscard]] bool add_removal_column(const TableBuilder& table, std::size_t column);
  [[nodiscard]] bool add_value(const ColumnDescription& column, const cel::Value& value);
  [[nodiscard]] bool append_row(TableBuilder& table, bool removes);

  // What is wrong with the row under way.
  void reject_row(std::string_view reason, const std::string& message);
  void reject_evaluation();
  void reject_encoding(const ColumnDescription& column, const cel::Value& value);

  const ExpressionPlan& plan_;
  const bool is_plain_;
  std::vector<TableBuilder> tables_;  // by route
  Evaluator evaluator_;
  FieldBuffer row_;
  EncodeProblem problem_;

  std::unique_ptr<RowBatch> rows_;

  std::uint32_t index_ = 0;
  const Target* target_ = nullptr;  // of the row under way, where there are several
  std::size_t record_bytes_ = 0;    // of the record's rows so far
  std::uint16_t fields_ = 0;        // in the row so far,
  std::uint16_t defaults_ = 0;      // of these that are the constant DEFAULT
};

}  // namespace penstock::compute
