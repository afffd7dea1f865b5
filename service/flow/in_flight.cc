#include "flow/in_flight.h"

#include <algorithm>

namespace penstock::flow {

void InFlight::add(PartitionId partition, std::int64_t records, SteadyTime polled) {
  const MutexLock lock(mutex_);
  Load& load = loads_[partition];
  if (load.batches++ == 0) load.since = polled;
  load.records += records;
  ++batches_;
  polled_.insert(polled);
}

void InFlight::remove(PartitionId partition, std::int64_t records, SteadyTime polled) {
  bool emptied = false;
  {
    const MutexLock lock(mutex_);
    Load& load = loads_[partition];
    --load.batches;
    load.records -= records;
    --batches_;
    polled_.extract(polled);  // one of them
    emptied = load.batches == 0;
  }
  if (emptied) emptied_.notify_all();
}

std::int64_t InFlight::records(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = loads_.find(partition);
  return found == loads_.end() ? 0 : found->second.records;
}

std::optional<SteadyTime> InFlight::since(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = loads_.find(partition);
  if (found == loads_.end() || found->second.batches == 0) return std::nullopt;
  return found->second.since;
}

std::int64_t InFlight::batches() const {
  const MutexLock lock(mutex_);
  return batches_;
}

std::optional<SteadyTime> InFlight::oldest() const {
  const MutexLock lock(mutex_);
  if (polled_.empty()) return std::nullopt;
  return *polled_.begin();
}

bool InFlight::empty(std::span<const PartitionId> partitions) const {
  return std::ranges::all_of(partitions, [this](PartitionId partition) REQUIRES(mutex_) {
    const auto found = loads_.find(partition);
    return found == loads_.end() || found->second.batches == 0;
  });
}

bool InFlight::wait_empty(std::span<const PartitionId> partitions, SteadyTime deadline) {
  const MutexLock lock(mutex_);
  while (!empty(partitions)) {
    if (give_up_ || !emptied_.wait_until(mutex_, deadline)) return empty(partitions);
  }
  return true;
}

bool InFlight::wait_all_empty(SteadyTime deadline) {
  const MutexLock lock(mutex_);
  while (batches_ > 0) {
    if (give_up_ || !emptied_.wait_until(mutex_, deadline)) return batches_ == 0;
  }
  return true;
}

void InFlight::give_up() {
  {
    const MutexLock lock(mutex_);
    give_up_ = true;
  }
  emptied_.notify_all();
}

}  // namespace penstock::flow
