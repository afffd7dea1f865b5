// Compares PostgreSQL with the ground truth, record by record.
//
// Who uses it: the demo, the fault tests, the benchmarks. It trusts nothing that Penstock says: it
// reads the table and the dead letters, and writes every record down again from its partition and
// sequence. Threads: any. Failure: a value if PostgreSQL cannot be read; what is wrong with the
// data is in the Verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "harness/orders.h"

namespace penstock::harness {

struct VerifyOptions {
  std::string conninfo;
  std::string pipeline;  // whose dead letters
  OrderStream stream;
  GroundTruth truth;
};

struct Verdict {
  std::int64_t produced = 0;
  std::int64_t rows = 0;          // in the table
  std::int64_t dead_letters = 0;  // of this pipeline
  std::int64_t lost = 0;          // neither a row nor a dead letter
  std::int64_t duplicates = 0;    // more than one row or dead letter for a record: the surplus
  // Rows committed after a row of their partition with a higher sequence.
  std::int64_t out_of_order = 0;
  // Rows whose values, or dead letters whose original bytes, are not what was produced; and good
  // records among the dead letters, or bad ones among the rows.
  std::int64_t wrong = 0;
  // The sum that a trigger keeps (`order_totals`), if it is there, equals the one recomputed.
  bool totals_equal = true;
  // The first few violations, for people.
  std::vector<std::string> findings;

  // Everything produced arrived, once, in order, with the right content.
  [[nodiscard]] bool clean() const {
    return lost == 0 && duplicates == 0 && out_of_order == 0 && wrong == 0 && totals_equal;
  }
  // One line with all the numbers, then the findings.
  [[nodiscard]] std::string to_string() const;
};

[[nodiscard]] Result<Verdict> verify(const VerifyOptions& options);

// How many records of the pipeline are in PostgreSQL as rows or dead letters, by its stored
// positions: cheap enough to be asked all the time.
[[nodiscard]] Result<std::int64_t> records_applied(const std::string& conninfo,
                                                   const std::string& pipeline);

}  // namespace penstock::harness
