// Group: what one transaction covers: batches of one pipeline, and their rows, table after table.
//
// Place: the writer's queue fills `parts` and calls index(); the writers walk slices, which go
// through the plan's targets in their order and within each through the parts. Bisecting, dead
// letters and halving speak of records: those that have rows, numbered 0 … records()-1 in the order
// of the parts. All rows of a record are written or left out together, in several tables, too.
// Threads: the lane's only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/chain.h"
#include "core/clock.h"
#include "core/plan.h"
#include "core/row_batch.h"
#include "postgres/failure_class.h"
#include "write/statement_columns.h"

namespace penstock::write {

class Patience;

// A batch, or the run of its records that a transaction covers.
struct Part {
  std::unique_ptr<RowBatch> batch;
  std::uint32_t first = 0;  // records [first, end) of the source
  std::uint32_t end = 0;

  Part() = default;
  explicit Part(std::unique_ptr<RowBatch> whole)
      : batch(std::move(whole)), end(static_cast<std::uint32_t>(batch->source->size())) {}

  [[nodiscard]] bool is_last() const { return end == batch->source->size(); }
  [[nodiscard]] OffsetRange range() const;
  // How many rows these records have, in all tables.
  [[nodiscard]] std::size_t rows() const;
  // Those of its records that have rows, ascending.
  [[nodiscard]] std::vector<std::uint32_t> records_with_rows() const;
};

// A record of a group, by where it is.
struct RecordPlace {
  std::uint32_t part = 0;
  std::uint32_t record = 0;  // index in the source batch
  friend auto operator<=>(const RecordPlace&, const RecordPlace&) = default;
};

// Neighbouring rows of one part, table and shape.
struct Slice {
  const TableRows* rows = nullptr;
  const RowShape* shape = nullptr;
  const StatementColumns::List* columns = nullptr;  // what its statement names
  std::uint32_t part = 0;
  std::uint32_t first = 0;  // index in `rows`
  std::uint32_t count = 0;

  // The tuples, back to back.
  [[nodiscard]] std::string_view bytes() const {
    const std::size_t begin = rows->rows[first].begin;
    const std::size_t after = std::size_t{first} + count;
    const std::size_t end =
        after < rows->rows.size() ? rows->rows[after].begin : rows->bytes.size();
    return {rows->bytes.data() + begin, end - begin};
  }
  // Whether both can go in one statement.
  [[nodiscard]] bool joins(const Slice& other) const {
    return rows->target == other.rows->target && columns == other.columns &&
           shape->removes == other.shape->removes;
  }
  // Whether its tuples lack columns that its statement names.
  [[nodiscard]] bool is_narrow() const { return shape->columns.size() != columns->size(); }
  // Whether its statement names a column that goes by its text, which COPY in binary has not.
  [[nodiscard]] bool has_text() const;
  [[nodiscard]] RecordPlace place(std::uint32_t row) const {
    return {part, rows->rows[row].record};
  }
};

// What the fence moves for one chain: the parts of a group follow on each other.
struct Advance {
  std::shared_ptr<Chain> chain;
  OffsetRange range;
  std::int32_t leader_epoch = -1;  // RecordBatch::leader_epoch of what is at its end
};

// A record that is left out because of its rows.
struct Refusal {
  std::size_t record = 0;  // number in the group
  std::string sqlstate;
  std::string message;  // holds what is in the row: for the dead letter only
  std::string table;    // what PostgreSQL named, if it did
  std::string column;
  std::string constraint;
  std::string_view reason = "refused_by_postgresql";  // lives for ever
  const Target* target = nullptr;                     // whose row it was, if that is known
  std::uint32_t tries = 1;                            // of the record, this one included,
  std::chrono::microseconds since_first{0};           // and how long ago the first one was
};
// `rows`: the one that was refused, if that is known; else any.
[[nodiscard]] Refusal refusal_of(std::size_t record, const postgres::Failure& failure,
                                 std::span<const Slice> rows);

struct Group {
  std::vector<Part> parts;

  // How to write it: plainly; or carefully, because PostgreSQL refused some row; and with deferred
  // constraints checked at once, because that row came out at COMMIT only.
  bool careful = false;
  bool immediate = false;
  std::optional<RecordPlace> suspect;  // of the row that PostgreSQL named
  // Something that says nothing of rows does not go away: who alone raises it is refused, whatever
  // its SQLSTATE.
  bool any_code = false;
  bool insists = true;  // that it raises it again after the others have passed
  // The table has refused most of what came, until now: whatever it refuses once more has to be
  // refused to the end.
  bool doubts_refusals = false;
  // The table changed while it was bisected: that is looked for once.
  bool is_judged_again = false;
  // Rows of other chains have passed since so much of these was refused: it is not the table.
  bool others_pass = false;
  // However much is refused is the records' fault, and not the table's.
  bool blames_records = false;
  // A table has changed, and no row has been written since: what refuses all of these, however few
  // they are, is its doing.
  bool table_changed = false;
  // Its first records, each of which is too much alone. With `probes` it is only seen whether the
  // others pass; else it is committed without them.
  std::vector<Refusal> left_out;
  bool probes = false;
  std::uint32_t tries = 0;
  // Who knows which refused records wait; null: none does. And when this try began.
  const Patience* patience = nullptr;
  SteadyTime tried_at{};
  bool is_retry = false;  // of records that wait, and of nothing else

  // Whether the part may join: the plan is the same, and its chain is not here yet or this follows.
  [[nodiscard]] bool accepts(const Part& part) const;
  // To be called after `parts` changed.
  void index(StatementColumns& columns);

  [[nodiscard]] const std::shared_ptr<const Plan>& shared_plan() const {
    return parts.front().batch->chain()->plan;
  }
  [[nodiscard]] const Plan& plan() const { return *shared_plan(); }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::span<const Slice> slices() const { return slices_; }
  [[nodiscard]] std::span<const Advance> advances() const { return advances_; }
  // The same rows, for COPY: table after table, short runs of every chain in the order of their
  // records' time, each chain's rows in its own. Keys that grow with time then come to few pages of
  // an index at once, however many partitions there are.
  [[nodiscard]] std::vector<Slice> by_time() const;
  // Whether rows go record after record through all tables, and not table after table: some are
  // removed, and PostgreSQL looks from one table into another; or one table has two routes.
  [[nodiscard]] bool in_record_order() const { return in_record_order_; }
  // Whether COPY comes to the same as one row after the other. By key, versions of a row can only
  // be put together if they say the same columns, and nothing but the row itself is looked at.
  [[nodiscard]] bool can_copy() const;
  // Whether any of the plan's tables is written by key.
  [[nodiscard]] bool is_keyed() const;
  // How many statements COPY would need: runs of rows that join, and one for a keyed target.
  [[nodiscard]] std::size_t statements() const { return statements_; }

  // The following list every record on first use: for when something went wrong.
  [[nodiscard]] std::size_t records() const { return places().size(); }
  [[nodiscard]] RecordPlace place(std::size_t record) const { return places()[record]; }
  [[nodiscard]] std::size_t number(RecordPlace place) const;
  // Whether nothing of its chain stands before this record.
  [[nodiscard]] bool begins_chain(RecordPlace place) const;
  // The slices of records [from, to), table after table.
  [[nodiscard]] std::vector<Slice> cut(std::size_t from, std::size_t to) const;
  // The same, in the order in which they are written one by one: of a record first what it removes,
  // from the last table to the first, then its rows.
  [[nodiscard]] std::vector<Slice> in_order(std::size_t from, std::size_t to) const;

 private:
  [[nodiscard]] bool wants_record_order(bool removes) const;
  void append_by_time(std::span<const Slice> slices, std::vector<Slice>& result) const;
  [[nodiscard]] const std::vector<RecordPlace>& places() const;

  std::vector<Slice> slices_;
  std::vector<std::pair<std::size_t, std::size_t>> tables_;  // the slices of each target
  std::vector<Advance> advances_;                            // sorted by partition
  mutable std::vector<RecordPlace> places_;
  std::size_t rows_ = 0;
  std::size_t statements_ = 0;
  bool in_record_order_ = false;
};

// A record that becomes a dead letter with a group. Views point into the group and the refusals.
struct DeadLetter {
  const RecordBatch* source;
  RecordPlace place;
  Stage stage;
  std::string_view reason;
  std::string_view message;
  std::string_view sqlstate;
  std::string_view table;          // that PostgreSQL named, if it did
  const Target* target = nullptr;  // whose row it was, if that is known
  std::uint32_t tries = 1;         // as in Refusal
  std::chrono::microseconds since_first{0};
};
// Of the rejects of the group's parts and of `refusals` (ascending by record), in the order of
// their places.
[[nodiscard]] std::vector<DeadLetter> dead_letters_of(const Group& group,
                                                      std::span<const Refusal> refusals);

}  // namespace penstock::write
