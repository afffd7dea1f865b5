// Records of one batch → encoded rows and rejects: what is common to all payload formats.
//
// Place in the flow: BatchProcessor (process_batch.h) drives it, record by record, together with a
// reader of the payload's format. Every record ends as exactly one of row, reject, filtered.
//
// Threads: one thread at a time; one per worker. The Projection must outlive it.
// Memory: the evaluator's memory and the row buffer are kept from record to record; a good record
// allocates nothing but the growth of its batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "compute/evaluator.h"
#include "compute/projection.h"
#include "core/plan.h"
#include "core/row_batch.h"

namespace penstock::compute {

class RowBuilder {
 public:
  RowBuilder(const Projection& projection, const Target& target, Evaluator::FieldNames field_names);

  // Begins a batch; finish() gives what became of it.
  void start(std::unique_ptr<RecordBatch> source);
  [[nodiscard]] const RecordBatch& source() const { return *rows_->source; }
  [[nodiscard]] std::unique_ptr<RowBatch> finish();

  // The arena and the slots for the reader. Everything of the record before is forgotten.
  [[nodiscard]] cel::Arena& arena() { return evaluator_.arena(); }
  [[nodiscard]] std::span<cel::Value> slots() { return evaluator_.slots(); }

  // Begins record number `index`. False: it is done (a tombstone).
  [[nodiscard]] bool begin_record(std::uint32_t index, const RecordView& record);
  // Ends it: evaluates `where`, lets and columns over the slots, and appends the row.
  void finish_record();
  // Ends it: a dead letter, with nothing left of a row half made.
  void reject(Stage stage, std::string_view reason, std::string message);

 private:
  // False: the record is done, as filtered, as a removal or as a reject.
  [[nodiscard]] bool goes_on(Evaluator::Fate fate);
  // False: a reject.
  [[nodiscard]] bool add_removal_column(std::size_t column);
  // False: a reject, because a row without a whole key is nobody's.
  [[nodiscard]] bool has_key();
  [[nodiscard]] bool add_column(std::size_t column);
  [[nodiscard]] bool add_value(std::uint16_t index, const cel::Value& value);
  void begin_row();
  void append_row(std::size_t shape);
  [[nodiscard]] std::size_t shape_of_row();
  void finish_removal();
  [[nodiscard]] std::size_t shape_of_removal();

  void reject_evaluation();
  void reject_encoding(const ColumnDescription& column, const cel::Value& value);

  const Projection::Plan& plan_;
  const Target& target_;
  // By their number among the columns that are written: those of the key, and those that say that
  // the row is to go.
  std::vector<std::size_t> key_;
  std::vector<std::size_t> removal_;
  std::optional<std::size_t> mark_;  // Target::deleted_at, likewise
  Evaluator evaluator_;
  FieldBuffer row_;
  EncodeProblem problem_;

  std::unique_ptr<RowBatch> rows_;
  std::size_t row_bytes_estimate_ = 128;  // from the batch before

  std::uint32_t index_ = 0;
  std::uint16_t fields_ = 0;             // in the row so far,
  std::uint16_t defaults_ = 0;           // of these that are the constant DEFAULT
  std::vector<std::uint16_t> left_out_;  // columns of this row that take their DEFAULT
  // The shapes of this batch, by what they leave out.
  std::map<std::vector<std::uint16_t>, std::size_t> shapes_;
  std::optional<std::size_t> removal_shape_;
  std::vector<std::uint16_t> last_left_out_;
  std::size_t last_shape_ = 0;
};

}  // namespace penstock::compute
