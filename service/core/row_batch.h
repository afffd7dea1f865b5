// RowBatch: what became of one RecordBatch: encoded rows and rejects, with their source.
//
// Place in the flow: a worker fills it (decode + compute), sequence puts it in offset order, a
// write lane commits it. Every record of the source is exactly one of these: it has rows, it is a
// reject, or it is filtered, by `where` or because its routes have no rows of it; the whole range
// [from, to) is accounted for either way. Threads: one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/record_batch.h"

namespace penstock {

// The stage in which a record failed.
enum class Stage : std::uint8_t { parse, compute, encode, write };

[[nodiscard]] constexpr std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::parse:
      return "parse";
    case Stage::compute:
      return "compute";
    case Stage::encode:
      return "encode";
    case Stage::write:
      return "write";
  }
  return "write";
}

struct Target;

// A record that will have no row; becomes a dead letter in the transaction of its neighbours.
struct Reject {
  std::uint32_t record = 0;  // index in the source batch
  Stage stage = Stage::parse;
  std::string reason;    // short and stable, snake_case: "invalid_json", "no_such_field", …
  std::string message;   // for people: what, where, how to fix it
  std::string sqlstate;  // when PostgreSQL refused the row
  // Whose row it was, of several; null where that is not known, or there is but one.
  const Target* target = nullptr;
};

// The columns that a row carries, as ascending indexes into TableDescription::columns. Columns
// that are left out take their DEFAULT; in a row that is updated they stay as they are.
struct RowShape {
  std::vector<std::uint16_t> columns;
  // The row of this key is to go, and the columns are the key's; or it is to be marked, and the
  // column of the mark is there, too (Target::deleted_at).
  bool removes = false;
  friend bool operator==(const RowShape&, const RowShape&) = default;
};

// The rows of one table, in offset order; those of one record in the order of its list. `bytes`
// holds them back to back as tuples of PostgreSQL's binary COPY format (int16 field count, then
// int32 length and bytes per field; PostgreSQL documentation, COPY, "Binary Format"), without the
// file header and trailer. A field of a column that is by_text has its text and a NUL: no COPY
// takes it, a parameter does.
struct TableRows {
  struct Row {
    std::uint32_t record;  // index in the source batch
    std::uint32_t begin;   // where its tuple begins in `bytes`; it ends where the next one begins
  };
  // Rows from `first_row` to the next run (or the end) have the shape `shapes[shape]`.
  struct ShapeRun {
    std::uint32_t first_row;
    std::uint16_t shape;
  };

  const Target* target = nullptr;  // of the chain's plan
  std::vector<char> bytes;
  std::vector<Row> rows;
  std::vector<RowShape> shapes;
  std::vector<ShapeRun> runs;

  [[nodiscard]] std::string_view tuple(std::size_t row) const {
    const std::size_t begin = rows[row].begin;
    const std::size_t end = row + 1 < rows.size() ? rows[row + 1].begin : bytes.size();
    return {bytes.data() + begin, end - begin};
  }
};

struct RowBatch {
  std::unique_ptr<RecordBatch> source;  // never null; kept until the commit
  std::vector<TableRows> tables;        // one per target that got rows, in the order of the plan
  std::vector<Reject> rejects;          // in offset order
  std::uint32_t filtered = 0;           // records that have neither rows nor a reject
  // The records behind, if all of them would have been too many bytes of rows at once; whoever
  // asked for that bound takes it away and has it processed next.
  std::unique_ptr<RecordBatch> rest;
  // What PostgreSQL has refused of it, when it is committed: dead letters, too.
  std::uint32_t refused_records = 0;
  std::uint32_t refused_rows = 0;

  [[nodiscard]] const std::shared_ptr<Chain>& chain() const { return source->chain(); }
  [[nodiscard]] PartitionId partition() const { return source->partition(); }
  [[nodiscard]] Epoch epoch() const { return source->epoch(); }
  [[nodiscard]] OffsetRange range() const { return source->range(); }
  [[nodiscard]] std::size_t row_count() const {
    std::size_t count = 0;
    for (const TableRows& table : tables) count += table.rows.size();
    return count;
  }
  // Bytes of encoded rows and rejects (the source counts by itself), for the byte budget.
  [[nodiscard]] std::size_t footprint_bytes() const {
    std::size_t bytes = sizeof(RowBatch) + rejects.capacity() * sizeof(Reject);
    for (const Reject& reject : rejects) {
      bytes += reject.reason.capacity() + reject.message.capacity() + reject.sqlstate.capacity();
    }
    for (const TableRows& table : tables) {
      bytes += table.bytes.capacity() + table.rows.capacity() * sizeof(TableRows::Row) +
               table.runs.capacity() * sizeof(TableRows::ShapeRun);
      for (const RowShape& shape : table.shapes) {
        bytes += sizeof(RowShape) + shape.columns.capacity() * sizeof(std::uint16_t);
      }
    }
    return bytes;
  }
};

}  // namespace penstock
