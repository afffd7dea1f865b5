// What would become of one record, step by step; nothing is written.
//
// Place in the flow: `penstock eval --config` shows it. Column types, constraints and triggers are
// the table's to say, and are not asked.
// Threads: free functions. Failure: problems with their places; those of an expression that was
// given have the file name "expression".
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "config/load.h"
#include "kafka/read_record.h"
#include "spec_test/record_run.h"

namespace penstock::spec_test {

struct DryRun {
  struct Step {
    std::string name;   // "let total", "where", "column id"
    std::string value;  // as a test would expect it, or "error: …"
  };
  // The lets, `where` and the columns, each by itself; without columns the fields of the record.
  // Empty if expressions did not see it.
  std::vector<Step> steps;
  RecordRun::Fate fate = RecordRun::Fate::row;
  std::string outcome;  // "a row, if …", "left out: …", "a dead letter: …"
};

// The record through pipeline number `index`, which reads its topic.
[[nodiscard]] std::expected<DryRun, config::Problems> dry_run(const config::Loaded& loaded,
                                                              int index,
                                                              const kafka::Record& record);

// One expression that sees what the pipeline's own do: msg with its schema, record, lets. No steps:
// the outcome is its value, or what is in its way.
[[nodiscard]] std::expected<DryRun, config::Problems> dry_run(const config::Loaded& loaded,
                                                              int index,
                                                              const kafka::Record& record,
                                                              const std::string& expression);

}  // namespace penstock::spec_test
