// Comparison: one table against the rows that its records make, in PostgreSQL's own terms.
//
// Place: verification.h makes one for each target of the plan, has it put the rows of every batch
// into a temporary table, and asks it at the end. PostgreSQL compares, because it alone knows what
// its types take for equal: both sides are cut into chunks by a hash of the key, each chunk has a
// count and a sum of row hashes, and only rows of chunks that differ are looked at.
// Threads: one. Memory: a batch's. PostgreSQL keeps the rows in temporary files.
// Failure: PostgreSQL's, which ends the verification.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/plan.h"
#include "core/row_batch.h"
#include "postgres/connection.h"
#include "verify/report.h"

namespace penstock::verify {

// A partition whose records are read, by its number in this order.
struct Source {
  std::string topic;
  PartitionId partition;
  OffsetRange range;    // that was asked for
  Offset read_to = 0;   // a key that changes behind the range is not compared
  Offset position = 0;  // where the pipeline stands
  // What the pipeline has ever read of it, in the order of their beginnings; the last to be read
  // has no end.
  std::vector<OffsetRange> readings = {};
};

class Comparison {
 public:
  // `columns`: those that its rows may carry, as indexes into the table's. `key`: the names of
  // columns that tell rows of an `append` target apart; empty: those of its primary key, else all.
  // `invalid_argument`, with the reason, for a target whose rows do not follow from the records.
  [[nodiscard]] static Result<Comparison> of(const Target& target,
                                             std::span<const std::uint16_t> columns,
                                             const std::vector<std::string>& key);

  // Whether rows are told apart by all of their columns.
  [[nodiscard]] bool is_multiset() const { return !has_key_; }
  // Whether what is in a row depends on all of its records, and not only on the last one.
  [[nodiscard]] bool needs_first_records() const;
  // Whether a later record of a row's key may change it.
  [[nodiscard]] bool needs_later_records() const { return target_->replaces(); }
  [[nodiscard]] const Target& target() const { return *target_; }

  // Makes the temporary table.
  [[nodiscard]] postgres::Try<void> begin(postgres::Connection& connection) const;
  // Puts the rows of `rows` there, of source number `number`, but for those of `refused` records.
  // Returns a record that PostgreSQL's types refuse, when there is one: then nothing is put there.
  struct Refusal {
    postgres::Failure failure;
    std::uint32_t record = 0;
  };
  [[nodiscard]] std::expected<std::optional<Refusal>, postgres::Failure> put(
      postgres::Connection& connection, const RowBatch& batch, const TableRows& rows,
      const Source& source, std::int32_t number, const std::set<std::uint32_t>& refused);
  // Compares, in a transaction of one snapshot. `is_whole`: rows that no record makes count, too.
  [[nodiscard]] postgres::Try<TableReport> compare(postgres::Connection& connection,
                                                   std::span<const Source> sources, bool is_whole,
                                                   std::uint64_t limit);
  // Whether a row can be written as its records say it: `invalid_argument` with the columns of
  // which that is not known. After compare().
  [[nodiscard]] Result<void> can_repair() const;
  // Writes what compare() has found missing or different, in its transaction; and deletes extra
  // rows. What changed since its snapshot fails with SQLSTATE 40001.
  [[nodiscard]] postgres::Try<void> write(postgres::Connection& connection,
                                          TableReport& report) const;
  [[nodiscard]] postgres::Try<void> delete_extra(postgres::Connection& connection,
                                                 TableReport& report) const;

 private:
  explicit Comparison(const Target& target) : target_(&target) {}

  struct Column {
    std::uint16_t index = 0;  // in the table
    bool is_key = false;
    std::string left_out;  // why it is not compared; empty: it is
  };

  [[nodiscard]] const ColumnDescription& description(const Column& column) const {
    return target_->table.columns[column.index];
  }
  [[nodiscard]] std::string name(std::string_view of) const;
  [[nodiscard]] bool is_compared(const Column& column) const;
  [[nodiscard]] std::string key_hash(std::string_view alias) const;
  [[nodiscard]] std::string row_hash(std::string_view alias) const;
  [[nodiscard]] std::string row_text(std::string_view alias) const;
  [[nodiscard]] std::string values(std::string_view alias, std::string_view as) const;
  [[nodiscard]] std::string expected(std::string_view more) const;
  [[nodiscard]] std::string actual(bool is_whole, std::string_view more) const;
  [[nodiscard]] std::string key_columns(std::string_view alias) const;
  [[nodiscard]] std::string version_order(std::string_view alias) const;
  [[nodiscard]] std::string order(std::string_view alias) const;
  [[nodiscard]] std::string candidates() const;
  [[nodiscard]] std::string settle() const;
  [[nodiscard]] std::string reduce(std::span<const Source> sources) const;
  [[nodiscard]] std::string chunks(bool is_whole) const;
  [[nodiscard]] std::string findings(bool is_whole) const;
  [[nodiscard]] postgres::Try<void> read_findings(postgres::Connection& connection,
                                                  std::span<const Source> sources,
                                                  std::uint64_t limit, TableReport& report) const;
  void see(const RowShape& shape);
  void append_row(std::string& out, const TableRows& rows, std::size_t row, const RowShape& shape,
                  std::int32_t source, Offset offset, std::int32_t item);
  void read_fields(std::string_view tuple, const RowShape& shape);

  const Target* target_;
  std::vector<Column> columns_;  // what is put into the temporary table
  bool has_key_ = false;
  bool has_text_ = false;  // a column goes by its text
  std::uint64_t rows_put_ = 0;
  std::vector<postgres::Param> fields_;  // of a row, by column
};

}  // namespace penstock::verify
