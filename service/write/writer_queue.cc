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
      patience(writer->options.retry_for),
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
  // It may show whether the table takes rows: that ends the wait of those of which it takes none.
  const bool may_show = writer->suspects.turn_of(*batch->chain()) == Suspects::Turn::others;
  retry_asked_ = retry_asked_ || may_show;
  rows_ += rows;
  bytes_ += bytes;
  waiting_.push_back({Part(std::move(batch)), now, rows, bytes});
  return was_empty || hurried || may_show || (!was_full && is_full());
}

void WriterQueue::adopt(std::shared_ptr<Chain> chain) {
  writer->suspects.adopt(chain);
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
  std::map<std::shared_ptr<Chain>, std::deque<Waiting>> aside;
  std::vector<std::shared_ptr<Chain>> chains;
  const MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
  aside.swap(aside_);
  for (const auto& [chain, batches] : aside) count_dropped(batches.size());
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
      std::erase_if(aside_, [&dropped](auto& held) {
        if (held.first->running()) return false;
        for (Waiting& waiting : held.second) dropped.push_back(std::move(waiting.part));
        return true;
      });
      patience.forget_ended();
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
  const bool asked = std::exchange(retry_asked_, false);
  if (asked) patience.retry_now();
  return asked;
}

std::optional<SteadyTime> WriterQueue::ready_at() {
  const MutexLock lock(mutex_);
  std::optional<SteadyTime> due;  // of what is held
  for (const auto& [chain, batches] : aside_) {
    const Patience::Hold* const hold = patience.held(*chain);
    const SteadyTime at = hold == nullptr || chain->hurried() ? SteadyTime{} : hold->retry_at;
    due = std::min(due.value_or(at), at);
  }
  if (waiting_.empty()) return due;
  if (is_full()) return SteadyTime{};
  const bool hurried = std::ranges::any_of(
      waiting_, [](const Waiting& waiting) { return waiting.part.batch->chain()->hurried(); });
  if (hurried) return SteadyTime{};
  const std::chrono::microseconds floor =
      std::max(std::min(writer->options.commit_floor, commit_cost_ * kFloorPerCost),
               std::min<std::chrono::microseconds>(kMaxFloor, fence_cost_ * kFloorPerFence));
  const SteadyTime ready =
      std::max(last_begin + floor, waiting_.front().arrived + writer->options.max_wait);
  return std::min(due.value_or(ready), ready);
}

bool WriterQueue::has_work() {
  if (group) return true;
  const MutexLock lock(mutex_);
  return !waiting_.empty() || !aside_.empty();
}

void WriterQueue::push_front(Part part) {
  const std::size_t rows = part.rows();
  const std::size_t bytes = transaction_bytes(*part.batch);
  push_front(Waiting{std::move(part), SteadyTime{}, rows, bytes});
}

void WriterQueue::push_front(Waiting waiting) {
  rows_ += waiting.rows;
  bytes_ += waiting.bytes;
  waiting_.push_front(std::move(waiting));
}

WriterQueue::Waiting WriterQueue::pop_front() {
  Waiting front = std::move(waiting_.front());
  waiting_.pop_front();
  rows_ -= front.rows;
  bytes_ -= front.bytes;
  return front;
}

bool WriterQueue::others_wait() {
  const MutexLock lock(mutex_);
  return std::ranges::any_of(waiting_, [this](const Waiting& waiting) {
    return is_running(waiting.part) &&
           writer->suspects.turn_of(*waiting.part.batch->chain()) != Suspects::Turn::open;
  });
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
