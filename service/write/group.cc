#include "write/group.h"

#include <algorithm>

namespace penstock::write {

bool Group::accepts(const RowBatch& batch) const {
  for (auto other = batches.rbegin(); other != batches.rend(); ++other) {
    if ((*other)->partition() != batch.partition()) continue;
    return (*other)->epoch() == batch.epoch() && (*other)->range().to == batch.range().from;
  }
  return true;
}

void Group::index() {
  slices_.clear();
  advances_.clear();
  rows_ = 0;
  statements_ = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const RowBatch& batch = *batches[i];
    for (const TableRows& rows : batch.tables) {
      for (std::size_t run = 0; run < rows.runs.size(); ++run) {
        const std::uint32_t first = rows.runs[run].first_row;
        const auto end = static_cast<std::uint32_t>(
            run + 1 < rows.runs.size() ? rows.runs[run + 1].first_row : rows.rows.size());
        if (first >= end) continue;
        Slice slice{.rows = &rows,
                    .shape = &rows.shapes[rows.runs[run].shape],
                    .batch = static_cast<std::uint32_t>(i),
                    .first = first,
                    .count = end - first,
                    .number = rows_};
        if (slices_.empty() || !slice.joins(slices_.back())) ++statements_;
        rows_ += slice.count;
        slices_.push_back(slice);
      }
    }
    advances_.push_back({batch.partition(), batch.epoch(), batch.range()});
  }
  // One entry per partition: from the first batch's beginning to the last one's end.
  std::ranges::stable_sort(advances_, {}, &Advance::partition);
  std::vector<Advance> merged;
  for (const Advance& advance : advances_) {
    if (!merged.empty() && merged.back().partition == advance.partition) {
      merged.back().range.to = advance.range.to;
    } else {
      merged.push_back(advance);
    }
  }
  advances_ = std::move(merged);
}

std::vector<Slice> Group::cut(std::size_t from, std::size_t to) const {
  std::vector<Slice> result;
  auto slice = std::ranges::upper_bound(slices_, from, {}, &Slice::number);
  if (slice != slices_.begin()) --slice;
  for (; slice != slices_.end() && slice->number < to; ++slice) {
    const std::size_t begin = std::max(from, slice->number);
    const std::size_t end = std::min(to, slice->number + slice->count);
    if (begin >= end) continue;
    Slice part = *slice;
    part.first += static_cast<std::uint32_t>(begin - slice->number);
    part.count = static_cast<std::uint32_t>(end - begin);
    part.number = begin;
    result.push_back(part);
  }
  return result;
}

}  // namespace penstock::write
