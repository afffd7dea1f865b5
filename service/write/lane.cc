#include "write/lane.h"

#include <algorithm>
#include <random>
#include <utility>

#include "write/lane_impl.h"

namespace penstock::write {
namespace {

// What a batch weighs in a transaction: its rows, and the original bytes of what was rejected.
std::size_t weight(const RowBatch& batch) {
  std::size_t bytes = 0;
  for (const TableRows& table : batch.tables) bytes += table.bytes.size();
  for (const Reject& reject : batch.rejects) {
    const RecordView record = batch.source->record(reject.record);
    bytes += record.value.value_or("").size() + record.key.value_or("").size() +
             record.encoded_headers.size() + reject.message.size();
  }
  return bytes;
}

}  // namespace

Lane::Impl::Impl(LaneOptions options, LaneHooks hooks)
    : options_(std::move(options)),
      hooks_(std::move(hooks)),
      clock_(options_.clock != nullptr ? *options_.clock : system_clock()),
      wakeup_(clock_),
      row_limit_(std::max<std::size_t>(options_.max_rows, 1)),
      breaker_({.backoff_min = options_.backoff_min,
                .backoff_max = options_.backoff_max,
                .failures = options_.breaker_failures,
                .after = options_.breaker_after},
               std::random_device{}()) {}

void Lane::Impl::start() {
  const MutexLock join_lock(join_mutex_);
  {
    const MutexLock lock(mutex_);
    if (started_ || ended_) return;
    started_ = true;
  }
  thread_.emplace("lane-" + std::to_string(options_.index), [this] { run(); });
}

void Lane::Impl::begin(PartitionId partition, Epoch epoch, Offset next) {
  const MutexLock lock(mutex_);
  set_stand(partition, epoch, next);
}

void Lane::Impl::set_stand(PartitionId partition, Epoch epoch, Offset next) {
  Advance& stand = stands_[partition];
  if (epoch < stand.epoch) return;  // a commit of before the claim, told late
  stand = {.partition = partition, .epoch = epoch, .range = {next, next}};
}

void Lane::Impl::push(std::unique_ptr<RowBatch> batch) {
  const std::size_t rows = batch->row_count();
  const std::size_t bytes = weight(*batch);
  const SteadyTime arrived = now();
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    if (!closing_ && !ended_) {
      const bool was_empty = queue_.empty();
      if (find_gone(batch->partition(), batch->epoch()) != nullptr) gone_changed_ = true;
      ++pending_[batch->partition()];
      ++pending_total_;
      queued_rows_ += rows;
      queued_bytes_ += bytes;
      queue_.push_back({std::move(batch), arrived, rows, bytes});
      wake = sleeping_ && (was_empty || is_full() || gone_changed_);
      if (wake) sleeping_ = false;
    }
  }
  if (wake) wakeup_.wake();
  if (batch) hooks_.on_dropped(std::move(batch), DropReason::stopped);
}

void Lane::Impl::forget(PartitionId partition, Epoch epoch) {
  {
    const MutexLock lock(mutex_);
    mark_gone(partition, epoch, DropReason::forgotten);
  }
  wakeup_.wake();
}

void Lane::Impl::mark_gone(PartitionId partition, Epoch epoch, DropReason reason) {
  const auto [entry, is_new] = gone_.try_emplace(partition, Gone{epoch, reason});
  if (!is_new && entry->second.epoch < epoch) entry->second = {epoch, reason};
  gone_changed_ = true;
}

const Lane::Impl::Gone* Lane::Impl::find_gone(PartitionId partition, Epoch epoch) const {
  const auto found = gone_.find(partition);
  return found != gone_.end() && epoch <= found->second.epoch ? &found->second : nullptr;
}

bool Lane::Impl::drain(std::span<const PartitionId> partitions, SteadyTime deadline) {
  const MutexLock lock(mutex_);
  ++draining_;
  wakeup_.wake();
  bool done = false;
  for (;;) {
    done = std::ranges::none_of(partitions, [this](PartitionId id) NO_THREAD_SAFETY_ANALYSIS {
      return pending_.contains(id);
    });
    if (done || ended_ || now() >= deadline) break;
    settled_.wait_until(mutex_, deadline);
  }
  --draining_;
  return done;
}

void Lane::Impl::retry_now() {
  {
    const MutexLock lock(mutex_);
    retry_asked_ = true;
  }
  wakeup_.wake();
}

bool Lane::Impl::close(SteadyTime deadline) {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    wakeup_.wake();
    while (started_ && !ended_) {
      if (now() >= deadline) return false;
      settled_.wait_until(mutex_, deadline);
    }
  }
  end_thread();
  return true;
}

void Lane::Impl::stop() {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
  }
  wakeup_.stop();
  end_thread();
}

void Lane::Impl::end_thread() {
  const MutexLock join_lock(join_mutex_);
  if (thread_) thread_->join();
  {
    const MutexLock lock(mutex_);
    ended_ = true;
  }
  drop_everything();  // what a lane that was never started holds
}

std::size_t Lane::Impl::in_flight() const {
  const MutexLock lock(mutex_);
  return pending_total_;
}

void Lane::Impl::release(std::span<const PartitionId> partitions) {
  const MutexLock lock(mutex_);
  for (const PartitionId id : partitions) {
    const auto entry = pending_.find(id);
    if (--entry->second == 0) pending_.erase(entry);
    --pending_total_;
  }
  settled_.notify_all();
}

Lane::Lane(LaneOptions options, LaneHooks hooks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(hooks))) {}
Lane::~Lane() { stop(); }
void Lane::start() { impl_->start(); }
void Lane::begin(PartitionId partition, Epoch epoch, Offset next) {
  impl_->begin(partition, epoch, next);
}
void Lane::push(std::unique_ptr<RowBatch> batch) { impl_->push(std::move(batch)); }
void Lane::forget(PartitionId partition, Epoch epoch) { impl_->forget(partition, epoch); }
bool Lane::drain(std::span<const PartitionId> partitions, SteadyTime deadline) {
  return impl_->drain(partitions, deadline);
}
void Lane::retry_now() { impl_->retry_now(); }
bool Lane::close(SteadyTime deadline) { return impl_->close(deadline); }
void Lane::stop() { impl_->stop(); }
std::size_t Lane::in_flight() const { return impl_->in_flight(); }
SteadyTime Lane::heartbeat() const { return impl_->heartbeat(); }
bool Lane::available() const { return impl_->available(); }
const LaneCounters& Lane::counters() const { return impl_->counters(); }

}  // namespace penstock::write
