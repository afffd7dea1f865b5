#include "write/group.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <utility>

#include "write/keyed_sql.h"
#include "write/refused_columns.h"

namespace penstock::write {
namespace {

// How many rows of one chain go together in COPY. Measured with 1,000 partitions and a primary key
// that grows with time: a million rows take PostgreSQL 2.8 CPU seconds with a batch at a time, 1.49
// with 64, 1.38 with 16 and with 4, and 1.2 if they come in 8 partitions.
constexpr std::uint32_t kRowsInTurn = 16;

// The rows of records [from, to), as indexes into `rows`.
std::pair<std::uint32_t, std::uint32_t> rows_of(const TableRows& rows, std::uint32_t from,
                                                std::uint32_t to) {
  const auto begin = std::ranges::lower_bound(rows.rows, from, {}, &TableRows::Row::record);
  const auto end =
      std::ranges::lower_bound(begin, rows.rows.end(), to, {}, &TableRows::Row::record);
  return {static_cast<std::uint32_t>(begin - rows.rows.begin()),
          static_cast<std::uint32_t>(end - rows.rows.begin())};
}

// Calls `function` with each run of rows [from, to) that have one shape.
template <typename Function>
void for_each_shape(const TableRows& rows, std::uint32_t from, std::uint32_t to,
                    Function function) {
  if (from >= to) return;
  auto run = std::ranges::upper_bound(rows.runs, from, {}, &TableRows::ShapeRun::first_row);
  if (run != rows.runs.begin()) --run;
  for (; run != rows.runs.end() && run->first_row < to; ++run) {
    const auto next = std::next(run);
    const std::uint32_t begin = std::max(from, run->first_row);
    const std::uint32_t end = std::min(to, next != rows.runs.end() ? next->first_row : to);
    if (begin < end) function(rows.shapes[run->shape], begin, end);
  }
}

const TableRows* table_of(const RowBatch& batch, const Target& target) {
  for (const TableRows& rows : batch.tables) {
    if (rows.target == &target) return &rows;
  }
  return nullptr;
}

// Which row of its record it is: "routes[1] (shop.items), index 3: ", or nothing.
std::string row_place(const Slice& row) {
  const Target& target = *row.rows->target;
  std::string place = target.route;
  if (target.is_list) {
    const std::uint32_t record = row.rows->rows[row.first].record;
    const std::uint32_t begin = rows_of(*row.rows, record, record + 1).first;
    place += (place.empty() ? "index " : ", index ") + std::to_string(row.first - begin);
  }
  return place.empty() ? place : place + ": ";
}

// Of one record, table after table. A table of which it both removes and writes rows has all of
// them once more, in their order: what is gone already is removed without a word.
void append_in_order(std::span<const Slice> slices, std::vector<Slice>& result) {
  for (const Slice& slice : slices | std::views::reverse) {
    if (slice.shape->removes) result.push_back(slice);
  }
  for (const Slice& slice : slices) {
    const bool is_mixed = std::ranges::any_of(slices, [&slice](const Slice& other) {
      return other.rows == slice.rows && !other.shape->removes;
    });
    if (is_mixed) result.push_back(slice);
  }
}

}  // namespace

Refusal refusal_of(std::size_t record, const postgres::Failure& failure,
                   std::span<const Slice> rows) {
  const bool is_known = rows.size() == 1 && rows[0].count == 1;
  std::vector<const ColumnDescription*> columns;
  std::string message;
  if (is_known) {
    columns = refused_columns(failure, rows[0]);
    message = row_place(rows[0]);
  }
  const std::size_t begin = message.size();
  for (const ColumnDescription* const column : columns) {
    message += (message.size() == begin ? "column \"" : " or \"") + column->name + "\"";
  }
  message += (message.size() == begin ? "" : ": ") + failure.error.message;
  if (!failure.detail.empty()) message += ": " + failure.detail;
  const std::string hint = columns.size() == 1 && failure.error.hint.empty()
                               ? labels_hint(failure, *columns[0])
                               : failure.error.hint;
  if (!hint.empty()) message += " (hint: " + hint + ")";
  if (const std::string context = postgres::inner_context(failure); !context.empty()) {
    message += " [" + context + "]";
  }
  std::string sqlstate = failure.error.sqlstate;
  if (postgres::may_be_spoiled(failure)) {
    message = "each time this record is written, and only then: " + message;
    if (sqlstate.empty()) sqlstate = "08006";  // connection_failure
  }
  return {.record = record,
          .sqlstate = std::move(sqlstate),
          .message = std::move(message),
          .table = failure.table,
          .column = columns.size() == 1 ? columns[0]->name : failure.column,
          .constraint = failure.constraint,
          .reason = postgres::refusal_reason(failure),
          .target = is_known ? rows[0].rows->target : nullptr};
}

bool Slice::has_text() const {
  return std::ranges::any_of(*columns, [this](std::uint16_t column) {
    return rows->target->table.columns[column].type == ColumnType::by_text;
  });
}

OffsetRange Part::range() const {
  const RecordBatch& source = *batch->source;
  return {first == 0 ? source.range().from : source.record(first).offset,
          is_last() ? source.range().to : source.record(end).offset};
}

std::size_t Part::rows() const {
  std::size_t count = 0;
  for (const TableRows& rows : batch->tables) {
    const auto [from, to] = rows_of(rows, first, end);
    count += to - from;
  }
  return count;
}

std::vector<std::uint32_t> Part::records_with_rows() const {
  std::vector<std::uint32_t> records;
  for (const TableRows& rows : batch->tables) {
    const auto [from, to] = rows_of(rows, first, end);
    for (std::uint32_t row = from; row < to; ++row) records.push_back(rows.rows[row].record);
  }
  std::ranges::sort(records);
  const auto repeated = std::ranges::unique(records);
  records.erase(repeated.begin(), repeated.end());
  return records;
}

bool Group::accepts(const Part& part) const {
  if (parts.empty()) return true;
  const Chain& chain = *part.batch->chain();
  if (chain.plan != parts.front().batch->chain()->plan) return false;
  for (auto other = parts.rbegin(); other != parts.rend(); ++other) {
    if (other->batch->partition() != chain.partition) continue;
    return other->batch->chain().get() == &chain && other->range().to == part.range().from;
  }
  return true;
}

void Group::index(StatementColumns& columns) {
  slices_.clear();
  advances_.clear();
  places_.clear();
  rows_ = 0;
  statements_ = 0;
  bool removes = false;
  columns.begin(parts.front().batch->chain()->plan);
  for (const Part& part : parts) {
    for (const TableRows& rows : part.batch->tables) {
      for (const RowShape& shape : rows.shapes) columns.see(*rows.target, shape);
    }
  }
  tables_.clear();
  for (const Target& target : plan().targets()) {
    const std::size_t before = slices_.size();
    for (std::uint32_t i = 0; i < parts.size(); ++i) {
      const TableRows* const rows = table_of(*parts[i].batch, target);
      if (rows == nullptr) continue;
      const auto [from, to] = rows_of(*rows, parts[i].first, parts[i].end);
      for_each_shape(
          *rows, from, to, [&](const RowShape& shape, std::uint32_t begin, std::uint32_t end) {
            const Slice slice{.rows = rows,
                              .shape = &shape,
                              .columns = columns.find(target, shape),
                              .part = i,
                              .first = begin,
                              .count = end - begin};
            // What is written by key is put together, however it comes.
            const bool begins = target.is_keyed() ? slices_.size() == before
                                                  : slices_.empty() || !slice.joins(slices_.back());
            if (begins) ++statements_;
            rows_ += slice.count;
            removes = removes || shape.removes;
            slices_.push_back(slice);
          });
    }
    if (slices_.size() > before) tables_.emplace_back(before, slices_.size());
  }
  in_record_order_ = wants_record_order(removes);
  // One entry per chain: from the first part's beginning to the last one's end.
  for (const Part& part : parts) {
    advances_.push_back({part.batch->chain(), part.range(), part.batch->source->leader_epoch});
  }
  std::ranges::stable_sort(advances_, {},
                           [](const Advance& advance) { return advance.chain->partition; });
  std::vector<Advance> merged;
  for (Advance& advance : advances_) {
    if (!merged.empty() && merged.back().chain == advance.chain) {
      merged.back().range.to = advance.range.to;
      merged.back().leader_epoch = advance.leader_epoch;
    } else {
      merged.push_back(std::move(advance));
    }
  }
  advances_ = std::move(merged);
}

std::vector<Slice> Group::by_time() const {
  std::vector<Slice> result;
  result.reserve(slices_.size() + rows_ / kRowsInTurn);
  for (auto begin = slices_.begin(); begin != slices_.end();) {
    const auto end = std::find_if(begin, slices_.end(),
                                  [&](const Slice& slice) { return !slice.joins(*begin); });
    if (begin->rows->target->is_keyed()) {
      result.insert(result.end(), begin, end);  // they are sorted by key
    } else {
      append_by_time({begin, end}, result);
    }
    begin = end;
  }
  return result;
}

// `slices` join.
void Group::append_by_time(std::span<const Slice> slices, std::vector<Slice>& result) const {
  // What is left of a chain.
  struct Left {
    std::vector<Slice> slices;  // the last one is the next
    std::int64_t time = 0;      // of its next row
  };
  std::vector<Left> chains;
  std::map<const Chain*, std::size_t> numbers;
  const auto time_of = [&](const Slice& slice) {
    return parts[slice.part].batch->source->timestamp_ms(slice.rows->rows[slice.first].record);
  };
  for (const Slice& slice : slices | std::views::reverse) {
    const auto [found, is_new] =
        numbers.try_emplace(parts[slice.part].batch->chain().get(), chains.size());
    if (is_new) chains.emplace_back();
    chains[found->second].slices.push_back(slice);
  }
  if (chains.size() < 2) {
    result.insert(result.end(), slices.begin(), slices.end());
    return;
  }
  // The last chain's comes first in `chains`.
  const auto is_later = [](const Left* left, const Left* right) {
    return left->time != right->time ? left->time > right->time : left < right;
  };
  std::vector<Left*> heap;
  for (Left& chain : chains) {
    chain.time = time_of(chain.slices.back());
    heap.push_back(&chain);
  }
  std::ranges::make_heap(heap, is_later);
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, is_later);
    Left& chain = *heap.back();
    Slice& next = chain.slices.back();
    Slice& turn = result.emplace_back(next);
    turn.count = std::min(next.count, kRowsInTurn);
    next.first += turn.count;
    next.count -= turn.count;
    if (next.count == 0) chain.slices.pop_back();
    if (chain.slices.empty()) {
      heap.pop_back();
      continue;
    }
    chain.time = time_of(chain.slices.back());
    std::ranges::push_heap(heap, is_later);
  }
}

// Foreign keys, triggers: the row rule of a table that refers to another says so.
bool Group::wants_record_order(bool removes) const {
  if (tables_.size() < 2) return false;
  return std::ranges::any_of(tables_, [&](const auto& table) {
    const Target& target = *slices_[table.first].rows->target;
    return (removes && !target.table.row_rule.empty()) ||
           (target.shares_table && target.is_keyed());
  });
}

bool Group::can_copy() const {
  if (in_record_order_) return false;
  for (const auto& [begin, end] : tables_) {
    const Target& target = *slices_[begin].rows->target;
    const bool every_version = !target.in_order_for.empty() || !target.merges.empty();
    if (target.replaces() && every_version) return false;
    const StatementColumns::List* columns = nullptr;  // of its rows that stay
    for (std::size_t i = begin; i < end; ++i) {
      const Slice& slice = slices_[i];
      if (slice.columns->empty()) return false;  // COPY cannot leave out every column
      if (slice.shape->removes && target.deleted_at) return false;  // the row stays as it is
      if (!target.is_keyed() || slice.shape->removes) continue;
      if (columns != nullptr && columns != slice.columns) return false;
      if (columns == nullptr && is_partial(target, *slice.columns)) return false;
      columns = slice.columns;
    }
  }
  return true;
}

bool Group::is_keyed() const { return std::ranges::any_of(plan().targets(), &Target::is_keyed); }

const std::vector<RecordPlace>& Group::places() const {
  if (places_.empty()) {
    for (std::uint32_t i = 0; i < parts.size(); ++i) {
      for (const std::uint32_t record : parts[i].records_with_rows())
        places_.push_back({i, record});
    }
  }
  return places_;
}

std::size_t Group::number(RecordPlace place) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(places(), place) - places().begin());
}

bool Group::begins_chain(RecordPlace place) const {
  const Part& part = parts[place.part];
  if (place.record != part.first) return false;
  for (std::uint32_t i = 0; i < place.part; ++i) {
    if (parts[i].batch->chain() == part.batch->chain()) return false;
  }
  return true;
}

std::vector<Slice> Group::cut(std::size_t from, std::size_t to) const {
  std::vector<Slice> result;
  if (from >= to) return result;
  const RecordPlace begin = places()[from];
  const RecordPlace last = places()[to - 1];
  for (const auto& [first_slice, end_slice] : tables_) {
    const auto end = slices_.begin() + static_cast<std::ptrdiff_t>(end_slice);
    const auto front = slices_.begin() + static_cast<std::ptrdiff_t>(first_slice);
    auto slice = std::ranges::lower_bound(front, end, begin, {}, [](const Slice& candidate) {
      return candidate.place(candidate.first);
    });
    if (slice != front) --slice;
    for (; slice != end && slice->place(slice->first) <= last; ++slice) {
      const auto [lowest, after] =
          rows_of(*slice->rows, slice->part == begin.part ? begin.record : 0,
                  slice->part == last.part ? last.record + 1 : UINT32_MAX);
      Slice piece = *slice;
      piece.first = std::max(slice->first, lowest);
      const std::uint32_t stop = std::min(slice->first + slice->count, after);
      if (slice->part < begin.part || piece.first >= stop) continue;
      piece.count = stop - piece.first;
      result.push_back(piece);
    }
  }
  return result;
}

std::vector<Slice> Group::in_order(std::size_t from, std::size_t to) const {
  if (!in_record_order_ && to != from + 1) return cut(from, to);
  std::vector<Slice> result;
  for (std::size_t record = from; record < to; ++record) {
    append_in_order(cut(record, record + 1), result);
  }
  return result;
}

std::vector<DeadLetter> dead_letters_of(const Group& group, std::span<const Refusal> refusals) {
  std::vector<DeadLetter> letters;
  auto refusal = refusals.begin();
  for (std::uint32_t i = 0; i < group.parts.size(); ++i) {
    const Part& part = group.parts[i];
    const RowBatch& batch = *part.batch;
    const auto begin = static_cast<std::ptrdiff_t>(letters.size());
    for (const Reject& reject : batch.rejects) {
      if (reject.record < part.first || reject.record >= part.end) continue;
      letters.push_back({batch.source.get(),
                         {i, reject.record},
                         reject.stage,
                         reject.reason,
                         reject.message,
                         reject.sqlstate,
                         {},
                         reject.target});
    }
    for (; refusal != refusals.end(); ++refusal) {
      const RecordPlace place = group.place(refusal->record);
      if (place.part != i) break;
      letters.push_back({batch.source.get(), place, Stage::write, refusal->reason, refusal->message,
                         refusal->sqlstate, refusal->table, refusal->target, refusal->tries,
                         refusal->since_first});
    }
    std::stable_sort(
        letters.begin() + begin, letters.end(),
        [](const DeadLetter& a, const DeadLetter& b) { return a.place.record < b.place.record; });
  }
  return letters;
}

}  // namespace penstock::write
