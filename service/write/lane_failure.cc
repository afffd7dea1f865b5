#include <algorithm>
#include <utility>

#include "core/log.h"
#include "write/lane_impl.h"

namespace penstock::write {

void Lane::Impl::handle_fenced(const std::vector<Fenced>& fenced) {
  for (const Fenced& partition : fenced) {
    counters_.fenced.add();
    log(LogLevel::warning, "partition_fenced",
        {{"pipeline", options_.pipeline},
         {"topic", options_.topics[partition.mine.partition.topic]},
         {"partition", partition.mine.partition.partition},
         {"epoch", value_of(partition.mine.epoch)},
         {"from", partition.mine.range.from},
         {"found_epoch", partition.found_epoch ? value_of(*partition.found_epoch) : -1},
         {"found_offset", partition.found_offset.value_or(-1)}});
    {
      const MutexLock lock(mutex_);
      mark_gone(partition.mine.partition, partition.mine.epoch, DropReason::fenced);
    }
    hooks_.on_fenced(partition.mine.partition, partition.mine.epoch, partition.found_epoch,
                     partition.found_offset);
  }
}

void Lane::Impl::handle_failure(const postgres::Failure& failure) {
  if (failure.failure == postgres::FailureClass::cancelled) return;
  counters_.transactions_failed.add();
  const Error& error = failure.error;
  log(LogLevel::warning, "write_failed",
      {{"pipeline", options_.pipeline},
       {"lane", options_.index},
       {"error", error.to_string()},
       {"detail", failure.detail}});
  if (failure.connection_lost || !postgres::keeps_session(error.sqlstate)) lose_session();
  switch (failure.failure) {
    case postgres::FailureClass::retry_quickly:
      resume_at_ = now() + breaker_.quick_delay();
      return;
    case postgres::FailureClass::configuration:
      halted_ = true;
      hooks_.on_configuration_error(error);
      return;
    default:
      break;
  }
  if (postgres::helps_to_halve(error.sqlstate) && !unknown_) split_group();
  const bool opened = breaker_.failed(now());
  resume_at_ = now() + breaker_.delay();
  if (opened) {
    counters_.breaker_opened.add();
    available_.store(false, std::memory_order_relaxed);
    hooks_.on_availability(false, error);
  }
}

void Lane::Impl::report_available() {
  available_.store(true, std::memory_order_relaxed);
  hooks_.on_availability(true, Error{});
}

// A session that is no good any more; its backend may still hold locks, or even commit.
void Lane::Impl::lose_session() {
  if (!session_) return;
  if (!lost_backend_) lost_backend_ = session_->identity();
  session_.reset();
}

// The transaction was too much for statement_timeout or memory: half of it next time.
void Lane::Impl::split_group() {
  const MutexLock lock(mutex_);
  row_limit_ = std::max<std::size_t>(row_limit_ / 2, 1);
  if (!group_ || group_->batches.size() < 2) return;
  Batches& batches = group_->batches;
  const std::size_t half = (batches.size() + 1) / 2;
  while (batches.size() > half) {
    auto batch = std::move(batches.back());
    batches.pop_back();
    const std::size_t rows = batch->row_count();
    const std::size_t bytes = batch->footprint_bytes();
    queued_rows_ += rows;
    queued_bytes_ += bytes;
    queue_.push_front({std::move(batch), now(), rows, bytes});
  }
  group_->suspect.reset();
  group_->index();
}

// Drops what belongs to lost and fenced partitions, queued or waiting for another try.
void Lane::Impl::drop_gone() {
  Batches forgotten;
  Batches fenced;
  {
    const MutexLock lock(mutex_);
    // An unknown COMMIT must be resolved for all of its batches first.
    if (!gone_changed_ || unknown_) return;
    gone_changed_ = false;
    const auto take = [&](std::unique_ptr<RowBatch>& batch) NO_THREAD_SAFETY_ANALYSIS {
      const Gone* const gone = find_gone(batch->partition(), batch->epoch());
      if (gone == nullptr) return false;
      (gone->reason == DropReason::fenced ? fenced : forgotten).push_back(std::move(batch));
      return true;
    };
    if (group_) {
      if (std::erase_if(group_->batches, take) > 0) {
        group_->suspect.reset();
        group_->index();
      }
      if (group_->batches.empty()) group_.reset();
    }
    std::erase_if(queue_, [&](Queued& queued) NO_THREAD_SAFETY_ANALYSIS {
      if (!take(queued.batch)) return false;
      queued_rows_ -= queued.rows;
      queued_bytes_ -= queued.bytes;
      return true;
    });
  }
  drop(std::move(forgotten), DropReason::forgotten);
  drop(std::move(fenced), DropReason::fenced);
}

void Lane::Impl::drop(Batches batches, DropReason reason) {
  if (batches.empty()) return;
  std::vector<PartitionId> partitions;
  for (auto& batch : batches) {
    partitions.push_back(batch->partition());
    hooks_.on_dropped(std::move(batch), reason);
  }
  release(partitions);
}

void Lane::Impl::drop_everything() {
  Batches batches;
  if (group_) {
    batches = std::move(group_->batches);
    group_.reset();
  }
  {
    const MutexLock lock(mutex_);
    for (Queued& queued : queue_) batches.push_back(std::move(queued.batch));
    queue_.clear();
    queued_rows_ = 0;
    queued_bytes_ = 0;
  }
  drop(std::move(batches), DropReason::stopped);
}

}  // namespace penstock::write
