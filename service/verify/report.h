// What a verification has found.
//
// Place: verification.h makes it; `penstock verify` shows it. Threads: plain values. What is in
// rows is users' data: it is shown to who asked, and never logged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"

namespace penstock::verify {

enum class Difference : std::uint8_t {
  missing,    // records make this row, and the table does not have it
  extra,      // the table has this row, and no record makes it
  different,  // both have it, with other values
  // The row is not as one of its records says, and these lie in several partitions: nobody knows
  // which of them came last.
  undecided,
};

struct Value {
  std::string column;
  bool is_key = false;
  std::optional<std::string> expected;  // as text, cut; nothing: NULL, or there is no such row
  std::optional<std::string> actual;
};

struct Finding {
  Difference difference = Difference::missing;
  // The record that says so; empty for a row that none makes.
  std::string topic;
  std::int32_t partition = -1;
  Offset offset = -1;
  std::vector<Value> values;  // by column
};

// Columns that cannot be compared.
struct LeftOut {
  std::string column;
  std::string reason;
};

struct TableReport {
  std::string table;             // "schema.table"
  std::vector<std::string> key;  // empty: rows are told apart by all of their columns
  std::vector<LeftOut> left_out;
  std::uint64_t expected_rows = 0;
  std::uint64_t actual_rows = 0;
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t different = 0;
  std::uint64_t undecided = 0;
  std::vector<Finding> findings;  // the first of them
  // What a repair has done.
  std::uint64_t inserted = 0;
  std::uint64_t updated = 0;
  std::uint64_t deleted = 0;

  [[nodiscard]] std::uint64_t differences() const {
    return missing + extra + different + undecided;
  }
};

struct ReadRange {
  std::string topic;
  std::int32_t partition = 0;
  OffsetRange range;
};

struct Report {
  std::string pipeline;
  std::vector<ReadRange> ranges;
  // Whether every record that the pipeline has ever read was read again: only then is a row that
  // none of them makes one that should not be there. Else why not.
  bool is_whole = false;
  std::string why_not_whole;
  std::uint64_t records = 0;       // that were read
  std::uint64_t rejects = 0;       // that cannot become rows, as the pipeline is today
  std::uint64_t refused = 0;       // that PostgreSQL's types refuse
  std::uint64_t dead_letters = 0;  // that the database keeps of these records
  // Offsets in between that the pipeline never read: it began behind them, or was led past them.
  std::uint64_t never_applied = 0;
  std::uint64_t not_accounted = 0;  // of `rejects` and `refused`: those of which it keeps none
  bool is_repaired = false;         // what could be was, and is committed
  std::vector<TableReport> tables;

  [[nodiscard]] std::uint64_t differences() const {
    std::uint64_t all = 0;
    for (const TableReport& table : tables) all += table.differences();
    return all;
  }
  // Of which are still there.
  [[nodiscard]] std::uint64_t left() const {
    std::uint64_t done = 0;
    for (const TableReport& table : tables) done += table.inserted + table.updated + table.deleted;
    return differences() - done;
  }
};

}  // namespace penstock::verify
