#include "compute/table_builder.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <limits>
#include <utility>

namespace penstock::compute {

TableBuilder::TableBuilder(const Projection::Plan::Table& table, const Target& target)
    : table_(&table), target_(&target) {
  for (std::size_t i = 0; i < table.column_indexes.size(); ++i) {
    const std::uint16_t index = table.column_indexes[i];
    if (target.is_key(index)) key_.push_back(i);
    if (target.deleted_at == index) mark_ = i;
    const bool is_version = target.deleted_at && target.newer_by == index;
    if (target.is_key(index) || target.deleted_at == index || is_version) removal_.push_back(i);
  }
}

void TableBuilder::start(std::size_t rows) {
  rows_ = {};
  rows_.target = target_;
  rows_.rows.reserve(rows);
  rows_.bytes.reserve(row_bytes_estimate_ * rows);
  shapes_.clear();
  removal_shape_.reset();
}

TableRows TableBuilder::finish() {
  if (!rows_.rows.empty()) {
    row_bytes_estimate_ = rows_.bytes.size() / rows_.rows.size() * 9 / 8 + 16;
  }
  return std::exchange(rows_, {});
}

TableBuilder::Added TableBuilder::add_row(std::uint32_t record, std::string_view tuple) {
  return append(record, tuple, shape_of_row());
}

TableBuilder::Added TableBuilder::add_removal(std::uint32_t record, std::string_view tuple) {
  return append(record, tuple, shape_of_removal());
}

// What can fail comes before anything is changed.
TableBuilder::Added TableBuilder::append(std::uint32_t record, std::string_view tuple,
                                         std::size_t shape) {
  if (rows_.bytes.size() + tuple.size() > std::numeric_limits<std::uint32_t>::max()) [[unlikely]] {
    return Added::too_large;
  }
  if (shape > std::numeric_limits<std::uint16_t>::max()) [[unlikely]] {
    return Added::too_many_shapes;
  }
  const auto row = static_cast<std::uint32_t>(rows_.rows.size());
  const auto begin = static_cast<std::uint32_t>(rows_.bytes.size());
  const bool new_run = rows_.runs.empty() || rows_.runs.back().shape != shape;
  if (new_run && rows_.runs.size() == rows_.runs.capacity()) {
    rows_.runs.reserve(2 * rows_.runs.size() + 1);
  }
  if (row == rows_.rows.capacity()) rows_.rows.reserve(2 * std::size_t{row} + 16);
  rows_.bytes.insert(rows_.bytes.end(), tuple.begin(), tuple.end());
  if (new_run) rows_.runs.push_back({row, static_cast<std::uint16_t>(shape)});
  assert(rows_.rows.size() < rows_.rows.capacity());
  rows_.rows.push_back({record, begin});
  return Added::added;
}

void TableBuilder::take_back(std::uint32_t record) {
  while (!rows_.rows.empty() && rows_.rows.back().record == record) {
    rows_.bytes.resize(rows_.rows.back().begin);
    rows_.rows.pop_back();
  }
  while (!rows_.runs.empty() && rows_.runs.back().first_row >= rows_.rows.size()) {
    rows_.runs.pop_back();
  }
}

std::size_t TableBuilder::shape_of_removal() {
  if (!removal_shape_) {
    removal_shape_ = rows_.shapes.size();
    RowShape& shape = rows_.shapes.emplace_back();
    // Of two versions, one of which says that the row is gone, the newer one wins as ever.
    shape.removes = !(target_->deleted_at && target_->newer_by);
    for (const std::size_t column : removal_) {
      shape.columns.push_back(table_->column_indexes[column]);
    }
  }
  return *removal_shape_;
}

std::size_t TableBuilder::shape_of_row() {
  if (!shapes_.empty() && left_out_ == last_left_out_) [[likely]]
    return last_shape_;
  const auto [known, is_new] = shapes_.try_emplace(left_out_, rows_.shapes.size());
  if (is_new) {
    RowShape shape;
    std::ranges::set_difference(table_->column_indexes, left_out_,
                                std::back_inserter(shape.columns));
    rows_.shapes.push_back(std::move(shape));
  }
  last_left_out_ = left_out_;
  last_shape_ = known->second;
  return last_shape_;
}

}  // namespace penstock::compute
