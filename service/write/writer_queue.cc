#include "write/writer_queue.h"

#include <algorithm>
#include <random>
#include <utility>

namespace penstock::write {
namespace {

// The floor follows the commit's own cost: a lane that is done in 0.3 ms may begin again after 1
// ms, which keeps it below a third of the time on the wire and on PostgreSQL's processors.
constexpr int kFloorPerCost = 3;
// Under an open snapshot every commit makes the fence's next one dearer, because its row's old
// versions have to stay: the fence may take a third of the time, and commits come seldomer.
constexpr int kFloorPerFence = 3;
constexpr std::chrono::milliseconds kMaxFloor{20};

// What a batch takes of a transaction: its rows, and the original bytes of what was rejected.
std::size_t transaction_bytes(const RowBatch& batch) {
  std::size_t bytes = 0;
  for (const TableRows& table : batch.tables) bytes += table.bytes.size();
  for (const Reject& reject : batch.rejects) {
    const RecordView record = batch.source->record(reject.record);
    bytes += record.value.value_or("").size() + record.key.value_or("").size() +
             record.encoded_headers.size() + reject.message.size();
  }
  return bytes;
}

bool is_running(const Part& part) { return part.batch->chain()->running(); }

}  // namespace

WriterQueue::WriterQueue(std::shared_ptr<WriterShared> shared, const LanesOptions& lanes)
    : writer(std::move(shared)),
      breaker({.backoff_min = lanes.backoff_min,
               .backoff_max = lanes.backoff_max,
               .configuration_max = lanes.configuration_backoff_max,
               .refusal_max = lanes.refusal_backoff_max,
               .failures = lanes.breaker_failures,
               .after = lanes.breaker_after},
              std::random_device{}()),
      max_rows_(std::max<std::size_t>(writer->options.max_rows, 1)),
      limit_(max_rows_) {}

bool WriterQueue::push(std::unique_ptr<RowBatch> batch, SteadyTime now) {
  const std::size_t rows = batch->row_count();
  const std::size_t bytes = transaction_bytes(*batch);
  const MutexLock lock(mutex_);
  if (closed_ || !batch->chain()->running()) {
    count_dropped(1);
    return false;  // the caller's argument is destroyed after the lock
  }
  const bool was_empty = waiting_.empty();
  const bool was_full = is_full();
  const bool hurried = batch->chain()->hurried();
  rows_ += rows;
  bytes_ += bytes;
  waiting_.push_back({Part(std::move(batch)), now, rows, bytes});
  return was_empty || hurried || (!was_full && is_full());
}

void WriterQueue::adopt(std::shared_ptr<Chain> chain) {
  const MutexLock lock(mutex_);
  if (!closed_) chains_.push_back(std::move(chain));
}

std::size_t WriterQueue::running_chains() {
  const MutexLock lock(mutex_);
  std::erase_if(chains_, [](const auto& chain) { return !chain->running(); });
  return chains_.size();
}

void WriterQueue::look_again() {
  const MutexLock lock(mutex_);
  look_again_ = true;
}

void WriterQueue::ask_retry() {
  const MutexLock lock(mutex_);
  retry_asked_ = true;
}

void WriterQueue::close() {
  std::deque<Waiting> dropped;
  std::vector<std::shared_ptr<Chain>> chains;
  const MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
  chains.swap(chains_);
  rows_ = 0;
  bytes_ = 0;
  count_dropped(dropped.size());
}

bool WriterQueue::is_closed() const {
  const MutexLock lock(mutex_);
  return closed_;
}

void WriterQueue::drop_ended() {
  std::vector<Part> dropped;
  {
    const MutexLock lock(mutex_);
    if (std::exchange(look_again_, false)) {
      std::deque<Waiting> kept;
      for (Waiting& waiting : waiting_) {
        if (is_running(waiting.part)) {
          kept.push_back(std::move(waiting));
          continue;
        }
        rows_ -= waiting.rows;
        bytes_ -= waiting.bytes;
        dropped.push_back(std::move(waiting.part));
      }
      waiting_ = std::move(kept);
    }
  }
  // An unknown COMMIT must be resolved for all of its batches first.
  if (group && !unknown && !std::ranges::all_of(group->parts, is_running)) {
    for (Part& part : group->parts) {
      if (!is_running(part)) dropped.push_back(std::move(part));
    }
    std::erase_if(group->parts, [](const Part& part) { return part.batch == nullptr; });
    if (group->parts.empty()) {
      group.reset();
    } else {
      group->suspect.reset();
      group->left_out.clear();
      group->index(columns_);
    }
  }
  count_dropped(dropped.size());
  if (!dropped.empty() && !has_work()) resume_at = {};  // with what it waited for
}

bool WriterQueue::take_retry() {
  const MutexLock lock(mutex_);
  return std::exchange(retry_asked_, false);
}

std::optional<SteadyTime> WriterQueue::ready_at() {
  const MutexLock lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  if (is_full()) return SteadyTime{};
  const bool hurried = std::ranges::any_of(
      waiting_, [](const Waiting& waiting) { return waiting.part.batch->chain()->hurried(); });
  if (hurried) return SteadyTime{};
  const std::chrono::microseconds floor =
      std::max(std::min(writer->options.commit_floor, commit_cost_ * kFloorPerCost),
               std::min<std::chrono::microseconds>(kMaxFloor, fence_cost_ * kFloorPerFence));
  return std::max(last_begin + floor, waiting_.front().arrived + writer->options.max_wait);
}

bool WriterQueue::has_work() {
  if (group) return true;
  const MutexLock lock(mutex_);
  return !waiting_.empty();
}

void WriterQueue::push_front(Part part) {
  const std::size_t rows = part.rows();
  const std::size_t bytes = transaction_bytes(*part.batch);
  rows_ += rows;
  bytes_ += bytes;
  waiting_.push_front({std::move(part), SteadyTime{}, rows, bytes});
}

WriterQueue::Waiting WriterQueue::pop_front() {
  Waiting front = std::move(waiting_.front());
  waiting_.pop_front();
  rows_ -= front.rows;
  bytes_ -= front.bytes;
  return front;
}

void WriterQueue::take_group() {
  std::vector<Waiting> dropped;
  Group taken;
  {
    const MutexLock lock(mutex_);
    const std::size_t limit = left_out.empty()   ? limit_
                              : neighbour_passed ? 1
                                                 : left_out.size() + 1;
    const bool cuts = is_limited() || !left_out.empty();
    std::size_t rows = 0;
    std::size_t bytes = 0;
    while (!waiting_.empty()) {
      Waiting& next = waiting_.front();
      if (!is_running(next.part)) {
        dropped.push_back(pop_front());
        continue;
      }
      if (!stops_.empty() && !cut(next.part, taken)) break;
      if (!taken.parts.empty() && (bytes + next.bytes > writer->options.max_bytes ||
                                   !taken.accepts(next.part) || rows >= limit)) {
        break;
      }
      if (cuts) {
        const std::vector<std::uint32_t> records = next.part.records_with_rows();
        const std::size_t room = limit - std::min(rows, limit);
        if (records.size() > room) {
          if (room == 0) break;
          Part part = pop_front().part;
          part.end = records[room];
          taken.parts.push_back(std::move(part));
          break;
        }
        rows += records.size();
      } else {
        if (!taken.parts.empty() && rows + next.rows > limit) break;
        rows += next.rows;
      }
      bytes += next.bytes;
      taken.parts.push_back(std::move(pop_front().part));
    }
  }
  count_dropped(dropped.size());
  if (taken.parts.empty()) return;
  taken.index(columns_);
  leave_out_of(taken);
  group = std::move(taken);
}

void WriterQueue::stop_before(RecordPlace place) {
  const RecordBatch& source = *group->parts[place.part].batch->source;
  std::erase_if(stops_, [&source](const auto& stop) { return stop.first == source.chain(); });
  stops_.emplace_back(source.chain(), source.record(place.record).offset);
}

bool WriterQueue::cut(Part& part, const Group& taken) {
  std::erase_if(stops_, [](const auto& stop) { return !stop.first->running(); });
  const RecordBatch& source = *part.batch->source;
  const auto stop =
      std::ranges::find(stops_, source.chain(), &std::pair<std::shared_ptr<Chain>, Offset>::first);
  if (stop == stops_.end()) return true;
  std::uint32_t end = part.first;
  while (end < part.end && source.record(end).offset < stop->second) ++end;
  if (end == part.end) return true;  // it ends before
  if (end > part.first) {
    part.end = end;
    return true;
  }
  const bool has_begun = std::ranges::any_of(
      taken.parts, [&source](const Part& other) { return other.batch->chain() == source.chain(); });
  if (!has_begun) stops_.erase(stop);
  return !has_begun;
}

void WriterQueue::leave_out_of(Group& taken) {
  const std::size_t records = taken.records();
  for (std::size_t i = 0; i < left_out.size() && i < records; ++i) {
    const RecordPlace place = taken.place(i);
    const RecordBatch& source = *taken.parts[place.part].batch->source;
    const bool is_there = source.chain() == left_out[i].chain &&
                          source.record(place.record).offset == left_out[i].offset;
    if (is_there) continue;
    clear_left_out();  // batches of an ended chain are gone
  }
  if (left_out.empty() || records == 0) return;
  taken.probes = !failed_once_more;
  const std::size_t count = failed_once_more   ? 1
                            : neighbour_passed ? 0
                                               : std::min(left_out.size(), records - 1);
  for (std::size_t i = 0; i < count; ++i) {
    Refusal& refusal = taken.left_out.emplace_back(left_out[i].why);
    refusal.record = i;
  }
}

void WriterQueue::clear_left_out() {
  left_out.clear();
  neighbour_passed = false;
  failed_once_more = false;
}

void WriterQueue::leave_out(RecordPlace place, const postgres::Failure& failure) {
  const RecordBatch& source = *group->parts[place.part].batch->source;
  left_out.push_back(
      {source.chain(), source.record(place.record).offset, refusal_of(place.record, failure, {})});
}

void WriterQueue::put_back() {
  if (!group) return;
  const MutexLock lock(mutex_);
  if (closed_) return;
  for (auto part = group->parts.rbegin(); part != group->parts.rend(); ++part) {
    part->end = static_cast<std::uint32_t>(part->batch->source->size());
    push_front(std::move(*part));
  }
  group.reset();
}

std::vector<std::unique_ptr<RowBatch>> WriterQueue::finish_group() {
  std::vector<std::unique_ptr<RowBatch>> done;
  for (Part& part : group->parts) {
    if (part.is_last()) {
      done.push_back(std::move(part.batch));
      continue;
    }
    part.first = part.end;
    part.end = static_cast<std::uint32_t>(part.batch->source->size());
    const MutexLock lock(mutex_);
    if (!closed_) push_front(std::move(part));
  }
  group.reset();
  return done;
}

std::vector<Advance> WriterQueue::expected() {
  std::vector<Advance> result;
  const MutexLock lock(mutex_);
  std::erase_if(chains_, [](const auto& chain) { return !chain->running(); });
  for (const auto& chain : chains_) {
    const Offset next = chain->committed();
    result.push_back({chain, {next, next}});
  }
  return result;
}

void WriterQueue::halve(std::size_t records) {
  const MutexLock lock(mutex_);
  limit_ = std::max<std::size_t>(std::min(limit_, records) / 2, 1);
}

void WriterQueue::probe(std::size_t records) {
  const MutexLock lock(mutex_);
  limit_ = std::min(limit_, records);
}

void WriterQueue::note_cost(std::chrono::microseconds all, std::chrono::microseconds fence) {
  const MutexLock lock(mutex_);
  commit_cost_ += (all - commit_cost_) / 8;
  if (fence.count() > 0) fence_cost_ += (fence - fence_cost_) / 8;
  // Slowly: to find out again that it is too much may take as long as statement_timeout.
  limit_ = std::min(limit_ + limit_ / 8 + 1, max_rows_);
}

void WriterQueue::drop_group() {
  if (group) count_dropped(group->parts.size());
  group.reset();
  unknown.reset();
}

}  // namespace penstock::write
