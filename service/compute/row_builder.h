// Records of one batch → encoded rows and rejects: what is common to all payload formats.
//
// Place in the flow: BatchProcessor (process_batch.h) drives it, record by record, together with a
// reader of the payload's format. Every record ends as exactly one of row, reject, filtered.
//
// Threads: one thread at a time; one per worker. The Projection must outlive it.
// Memory: slots, registers, arena and row buffer are kept from record to record; a good record
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
#include "cel/program.h"
#include "cel/value.h"
#include "compute/column_encoder.h"
#include "compute/projection.h"
#include "core/row_batch.h"

namespace penstock::compute {

class RowBuilder {
 public:
  explicit RowBuilder(const Projection& projection);

  // Begins a batch; finish() gives what became of it.
  void start(std::unique_ptr<RecordBatch> source);
  [[nodiscard]] const RecordBatch& source() const { return *rows_->source; }
  [[nodiscard]] std::unique_ptr<RowBatch> finish();

  // The arena and the slots for the reader. Everything of the record before is forgotten.
  [[nodiscard]] cel::Arena& arena() { return arena_; }
  [[nodiscard]] std::span<cel::Value> slots() { return slots_; }

  // Begins record number `index`. False: it is done (a tombstone).
  [[nodiscard]] bool begin_record(std::uint32_t index, const RecordView& record);
  // Ends it: evaluates `where`, lets and columns over the slots, and appends the row.
  void finish_record();
  // Ends it: a dead letter, with nothing left of a row half made.
  void reject(Stage stage, std::string_view reason, std::string message);

 private:
  struct Shapes;

  void fill_record_slots();
  [[nodiscard]] cel::Value headers();
  [[nodiscard]] bool evaluate_lets(std::span<const std::uint32_t> lets);
  [[nodiscard]] bool passes_where(bool& keep);
  [[nodiscard]] bool encode_column(std::size_t column, std::uint16_t& fields);
  void append_row(std::uint16_t fields);
  [[nodiscard]] std::uint16_t shape_of_row();

  const Projection::Plan& plan_;
  cel::Arena arena_;
  cel::Frame frame_;
  std::vector<cel::Value> slots_;
  FieldBuffer row_;
  EncodeProblem problem_;
  std::unique_ptr<RowBatch> rows_;
  RecordView record_;
  std::uint32_t index_ = 0;
  std::vector<std::uint16_t> left_out_;           // columns of this row that take their DEFAULT
  std::vector<std::vector<std::uint16_t>> seen_;  // left_out_ of each shape of this batch
};

}  // namespace penstock::compute
