// Counts what has been polled and is not yet committed or dropped, per partition, and knows since
// when.
//
// Place in the flow: ingest's batches are added, lanes' completions and drops are taken off; a
// revoke and a drain wait here until their partitions are empty.
// Threads: all members from any thread; one short lock per batch.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>

#include "concurrency/mutex.h"
#include "core/clock.h"
#include "core/ids.h"

namespace penstock::flow {

class InFlight {
 public:
  // A batch, and when the first of its records was taken from Kafka; the same for both.
  void add(PartitionId partition, std::int64_t records, SteadyTime polled);
  void remove(PartitionId partition, std::int64_t records, SteadyTime polled);

  [[nodiscard]] std::int64_t records(PartitionId partition) const;
  [[nodiscard]] std::int64_t batches() const;
  // Since when there has been something of it all the time; nothing when there is nothing.
  [[nodiscard]] std::optional<SteadyTime> since(PartitionId partition) const;
  // When the oldest of it was polled; nothing when there is none.
  [[nodiscard]] std::optional<SteadyTime> oldest() const;

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
    SteadyTime since{};  // when the first of the present batches was polled
  };

  [[nodiscard]] bool empty(std::span<const PartitionId> partitions) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar emptied_;
  std::unordered_map<PartitionId, Load> loads_ GUARDED_BY(mutex_);
  std::int64_t batches_ GUARDED_BY(mutex_) = 0;
  std::multiset<SteadyTime> polled_ GUARDED_BY(mutex_);  // of every batch
  bool give_up_ GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::flow
