// Group: the batches of one transaction, and their rows as one numbered sequence.
//
// Place: the lane fills `batches` and calls index(); the writers walk slices; bisecting speaks of
// row numbers 0 … rows()-1 in that order, which is the order of every partition. Threads: the
// lane's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/ids.h"
#include "core/row_batch.h"

namespace penstock::write {

// Neighbouring rows of one batch, table and shape.
struct Slice {
  const TableRows* rows = nullptr;
  const RowShape* shape = nullptr;
  std::uint32_t batch = 0;  // index in the group
  std::uint32_t first = 0;  // index in `rows`
  std::uint32_t count = 0;
  std::size_t number = 0;  // of its first row in the group

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
    return rows->table == other.rows->table &&
           (shape == other.shape || shape->columns == other.shape->columns);
  }
};

// What the fence moves for one partition: the batches of a group follow on each other.
struct Advance {
  PartitionId partition;
  Epoch epoch = Epoch::none;
  OffsetRange range;
};

struct Group {
  std::vector<std::unique_ptr<RowBatch>> batches;

  // How to write it: plainly; or carefully, because PostgreSQL refused some row; and with deferred
  // constraints checked at once, because that row came out at COMMIT only.
  bool careful = false;
  bool immediate = false;
  std::optional<std::size_t> suspect;  // the row that PostgreSQL named
  std::uint32_t tries = 0;

  // Whether the batch may join: its partition is not here yet, or this is what follows.
  [[nodiscard]] bool accepts(const RowBatch& batch) const;
  // To be called after `batches` changed.
  void index();

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::span<const Slice> slices() const { return slices_; }
  [[nodiscard]] std::span<const Advance> advances() const { return advances_; }
  // The slices of rows [from, to).
  [[nodiscard]] std::vector<Slice> cut(std::size_t from, std::size_t to) const;
  // How many statements COPY would need: runs of rows that join.
  [[nodiscard]] std::size_t statements() const { return statements_; }

 private:
  std::vector<Slice> slices_;
  std::vector<Advance> advances_;  // sorted by partition
  std::size_t rows_ = 0;
  std::size_t statements_ = 0;
};

}  // namespace penstock::write
