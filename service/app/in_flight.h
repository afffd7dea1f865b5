// Counts what has been polled and is not yet committed or dropped, per partition.
//
// Place in the flow: ingest's batches are added, lanes' completions and drops are taken off; a
// revoke and a drain wait here until their partitions are empty.
// Threads: all members from any thread; one short lock per batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "concurrency/mutex.h"
#include "core/clock.h"
#include "core/ids.h"

namespace penstock::app {

class InFlight {
 public:
  void add(PartitionId partition, std::int64_t records);
  void remove(PartitionId partition, std::int64_t records);

  [[nodiscard]] std::int64_t records(PartitionId partition) const;
  [[nodiscard]] std::int64_t batches() const;

  // Waits until none of these partitions has a batch in flight. False: `deadline` passed first.
  [[nodiscard]] bool wait_empty(std::span<const PartitionId> partitions, SteadyTime deadline);
  // The same for all partitions.
  [[nodiscard]] bool wait_all_empty(SteadyTime deadline);
  // Ends all waits, now and later: they return whether they are empty at that moment.
  void give_up();

 private:
  struct Load {
    std::int64_t batches = 0;
    std::int64_t records = 0;
  };

  [[nodiscard]] bool empty(std::span<const PartitionId> partitions) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar emptied_;
  std::unordered_map<PartitionId, Load> loads_ GUARDED_BY(mutex_);
  std::int64_t batches_ GUARDED_BY(mutex_) = 0;
  bool give_up_ GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::app
