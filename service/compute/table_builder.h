// The rows of one table, of one batch, as they are made.
//
// Place in the flow: a RowBuilder has one per route. Threads: one at a time; the target and the
// projection's table must outlive it. Memory: shapes are kept while a batch lasts; a row allocates
// nothing but the growth of its batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "compute/plan.h"
#include "core/plan.h"
#include "core/row_batch.h"

namespace penstock::compute {

class TableBuilder {
 public:
  enum class Added : std::uint8_t { added, too_large, too_many_shapes };

  TableBuilder(const Projection::Plan::Table& table, const Target& target);

  [[nodiscard]] const Target& target() const { return *target_; }
  [[nodiscard]] const TableDescription& description() const { return table_->description; }
  // Of each of the route's columns, its index in the table.
  [[nodiscard]] const std::vector<std::uint16_t>& columns() const { return table_->column_indexes; }
  // The columns of the key, by their number among columns().
  [[nodiscard]] const std::vector<std::size_t>& key() const { return key_; }
  // Likewise those that say that a row is to go: the key, and where rows are marked rather than
  // removed, the version and the mark.
  [[nodiscard]] const std::vector<std::size_t>& removal() const { return removal_; }
  // Target::deleted_at, likewise.
  [[nodiscard]] std::optional<std::size_t> mark() const { return mark_; }

  // Begins a batch; `rows` that it is sure to have room for.
  void start(std::size_t rows);
  // What has been added; no rows: nothing was.
  [[nodiscard]] TableRows finish();

  [[nodiscard]] std::size_t row_bytes() const {
    return rows_.bytes.size() + rows_.rows.size() * sizeof(TableRows::Row);
  }

  // Begins a row. A column that it leaves out takes its DEFAULT, or stays as it is.
  void begin_row() { left_out_.clear(); }
  void leave_out(std::uint16_t column) { left_out_.push_back(column); }
  [[nodiscard]] Added add_row(std::uint32_t record, std::string_view tuple);
  // The row of this key is to go, or to be marked; the fields are those of removal().
  [[nodiscard]] Added add_removal(std::uint32_t record, std::string_view tuple);
  // Takes back all rows of the record, which is the last one.
  void take_back(std::uint32_t record);

 private:
  [[nodiscard]] Added append(std::uint32_t record, std::string_view tuple, std::size_t shape);
  [[nodiscard]] std::size_t shape_of_row();
  [[nodiscard]] std::size_t shape_of_removal();

  const Projection::Plan::Table* table_;
  const Target* target_;
  std::vector<std::size_t> key_;
  std::vector<std::size_t> removal_;
  std::optional<std::size_t> mark_;
  TableRows rows_;
  std::size_t row_bytes_estimate_ = 128;  // from the batch before

  std::vector<std::uint16_t> left_out_;  // of this row
  // The shapes of this batch, by what they leave out.
  std::map<std::vector<std::uint16_t>, std::size_t> shapes_;
  std::optional<std::size_t> removal_shape_;
  std::vector<std::uint16_t> last_left_out_;
  std::size_t last_shape_ = 0;
};

}  // namespace penstock::compute
