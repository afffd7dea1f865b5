// One record on its way through a pipeline's expressions, without Kafka and PostgreSQL.
//
// Place in the flow: tests of a spec and dry runs make one per record. It goes the way that it goes
// in `penstock serve`: the reader, the schema, `where`, lets, routes, columns.
// Threads: one. Ownership: it keeps what its values point to; `plan` and `tree` outlive it.
#pragma once

#include <cstddef>
#include <optional>
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

  struct Row {
    std::size_t route;
    std::optional<std::size_t> index;  // in the list that the route goes through
    bool is_removed;                   // the row of this key is to go
    std::vector<cel::Value> values;    // by column of the route; of a removal only the key counts
  };

  // The record's topic is one of the plan's.
  RecordRun(const kafka::Record& record, const compute::ExpressionPlan& plan,
            const formats::FieldTree& tree, formats::JsonOptions options);
  RecordRun(const RecordRun&) = delete;
  RecordRun& operator=(const RecordRun&) = delete;

  // Removal: it only removes rows.
  [[nodiscard]] Fate fate() const { return fate_; }
  // False: expressions did not see it (a tombstone, no JSON).
  [[nodiscard]] bool was_read() const { return was_read_; }
  // What it becomes; of a reject, as far as it came.
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  // It came as far as the routes, and some route takes it.
  [[nodiscard]] bool met_routes() const { return met_routes_; }
  [[nodiscard]] bool was_routed() const { return was_routed_; }
  // Of a reject.
  [[nodiscard]] const Rejection& rejection() const { return rejection_; }

 private:
  Fate evaluate();
  Fate evaluate_routes();
  Fate add_row(std::size_t route);
  bool has_fields();

  const compute::ExpressionPlan& plan_;
  RecordBatch batch_;
  formats::JsonReader reader_;
  compute::Evaluator evaluator_;
  Fate fate_ = Fate::row;
  bool was_read_ = false;
  bool met_routes_ = false;
  bool was_routed_ = false;
  std::vector<Row> rows_;
  Rejection rejection_;
};

}  // namespace penstock::spec_test
