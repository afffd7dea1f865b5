// One record on its way through a pipeline's expressions, without Kafka and PostgreSQL.
//
// Place in the flow: tests of a spec and dry runs make one per record. It goes the way that it goes
// in `penstock serve`: the reader, the schema, `where`, lets, columns.
// Threads: one. Ownership: it keeps what its values point to; `plan` and `tree` outlive it.
#pragma once

#include <string>
#include <vector>

#include "compute/evaluator.h"
#include "compute/plan.h"
#include "core/record_batch.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"
#include "kafka/read_record.h"

namespace penstock::spec_test {

class RecordRun {
 public:
  using Fate = compute::Evaluator::Fate;
  using Rejection = compute::Evaluator::Rejection;

  // The record's topic is one of the plan's.
  RecordRun(const kafka::Record& record, const compute::ExpressionPlan& plan,
            const formats::FieldTree& tree, formats::JsonOptions options);
  RecordRun(const RecordRun&) = delete;
  RecordRun& operator=(const RecordRun&) = delete;

  [[nodiscard]] Fate fate() const { return fate_; }
  // False: expressions did not see it (a tombstone, no JSON).
  [[nodiscard]] bool was_read() const { return was_read_; }
  // Its columns, as far as it came: all of a row or a removal.
  [[nodiscard]] const std::vector<cel::Value>& values() const { return values_; }
  // Of a reject.
  [[nodiscard]] const Rejection& rejection() const { return rejection_; }

 private:
  Fate evaluate(std::size_t columns);

  RecordBatch batch_;
  formats::JsonReader reader_;
  compute::Evaluator evaluator_;
  Fate fate_ = Fate::row;
  bool was_read_ = false;
  std::vector<cel::Value> values_;
  Rejection rejection_;
};

}  // namespace penstock::spec_test
