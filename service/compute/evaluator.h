// Evaluates a pipeline's expressions over one record after the other: what a record becomes, as
// values.
//
// Place in the flow: RowBuilder encodes what it gives; the tests of a spec compare it. Per record:
// begin(), then a reader fills slots(), then evaluate(), then column() for each column.
// Threads: one thread at a time. The plan must outlive it.
// Memory: slots, registers and arena are kept from record to record; what it gives points into
// them and into the record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/program.h"
#include "cel/value.h"
#include "compute/plan.h"
#include "core/row_batch.h"

namespace penstock::compute {

class Evaluator {
 public:
  enum class Fate : std::uint8_t { row, filtered, reject };
  struct Rejection {
    Stage stage = Stage::compute;
    std::string_view reason;
    std::string message;
  };

  explicit Evaluator(const ExpressionPlan& plan);

  // The records of this partition follow.
  void start(PartitionId partition);

  // The arena and the slots for the reader. Everything of the record before is forgotten.
  [[nodiscard]] cel::Arena& arena() { return arena_; }
  [[nodiscard]] std::span<cel::Value> slots() { return slots_; }

  // Row: it goes on; else it is done (a tombstone).
  [[nodiscard]] Fate begin(const RecordView& record);
  // Evaluates what comes before the columns. Row: they follow.
  [[nodiscard]] Fate evaluate();
  // The value of column number `i`; absent: nothing sets it. False: a reject.
  [[nodiscard]] bool column(std::size_t i, cel::Value& value) {
    const ExpressionPlan::Column& column = plan_.columns[i];
    value = column.input != ExpressionPlan::kNoSlot
                ? slots_[column.input]
                : column.program.evaluate(slots_, arena_, frame_);
    if (value.is_optional()) {
      value = value.as_optional() == nullptr ? cel::Value::absent(0) : *value.as_optional();
    }
    if (!value.is_error()) [[likely]]
      return true;
    reject_column(column, value);
    return false;
  }

  // Of the record that was the last reject.
  [[nodiscard]] Rejection& rejection() { return rejection_; }

 private:
  void fill_record_slots();
  [[nodiscard]] cel::Value headers();
  void evaluate_steps(std::size_t begin, std::size_t end);
  [[nodiscard]] Fate evaluate_where();

  Fate reject(Stage stage, std::string_view reason, std::string message);
  Fate reject_evaluation(const std::string& place, const cel::Value& error);
  void reject_column(const ExpressionPlan::Column& column, const cel::Value& error);

  const ExpressionPlan& plan_;
  cel::Arena arena_;
  cel::Frame frame_;
  std::vector<cel::Value> slots_;
  RecordView record_;
  Rejection rejection_;
};

}  // namespace penstock::compute
