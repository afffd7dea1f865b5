// What a test of a pipeline found, ready to be shown.
//
// Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::spec_test {

enum class Found : std::uint8_t {
  same,        // as expected
  different,   // in its place, but not as expected
  missing,     // expected, and not there
  unexpected,  // there, and not expected
};

struct ColumnResult {
  std::string column;
  std::string expected;  // empty for an unexpected row
  std::string actual;    // empty for a missing row
  bool is_same = false;
};

// A row or a reject that was expected, or that came.
struct RecordResult {
  Found found = Found::same;
  std::optional<std::size_t> record;  // which one it came from, from 0; not of a missing one
  std::uint32_t line = 0;             // in the file: where it is expected; 0 of an unexpected one
  std::vector<ColumnResult> columns;  // of a reject: its reason and its message
};

// What became of one table.
struct TableResult {
  std::string table;  // empty: the pipeline has but one
  std::vector<RecordResult> rows;
  std::vector<RecordResult> deletes;
};

struct TestResult {
  std::string pipeline;
  std::string name;
  std::string file;
  std::uint32_t line = 0;
  std::vector<std::string> records;  // their payloads
  std::vector<TableResult> tables;
  std::vector<RecordResult> rejects;
  std::size_t expected_filtered = 0;
  std::vector<std::size_t> filtered;  // which records

  [[nodiscard]] bool passed() const;
};

// One test for people: a line with a mark; of a failed one also what differs.
[[nodiscard]] std::string render(const TestResult& result, bool with_colour);

}  // namespace penstock::spec_test
