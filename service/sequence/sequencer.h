// Puts the batches of a partition back in offset order.
//
// Place in the flow: workers complete batches in any order; a batch is released to its write lane
// when everything before it in its chain has been. A chain is one claim of one partition: one
// epoch, one unbroken run of offsets.
// Threads: any thread may call anything. Partitions do not wait for each other: each has its lock,
// held while `release` runs, which is what keeps two workers from releasing in the wrong order.
// Hooks must be short, must not throw and must not call back into the sequencer.
// Stop: nothing runs here by itself. After end_chain() returned, no batch of that chain is
// released.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>

#include "concurrency/mutex.h"
#include "core/ids.h"
#include "core/row_batch.h"
#include "core/stats.h"

namespace penstock::sequence {

class Sequencer {
 public:
  using Batch = std::unique_ptr<RowBatch>;

  struct Hooks {
    std::function<void(Batch)> release;  // in offset order per partition
    // Completions of an ended chain or an old epoch; the hook gives their bytes back to the
    // budgets.
    std::function<void(Batch)> drop;
  };

  explicit Sequencer(Hooks hooks);
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;
  ~Sequencer();

  // The partition was claimed: batches of `epoch` follow, the first from `next`. What waits from an
  // earlier chain is dropped.
  void start_chain(PartitionId partition, Epoch epoch, Offset next);
  // The partition was revoked, lost or fenced: what waits is dropped, and so is what comes later.
  void end_chain(PartitionId partition);
  // A worker is done with a batch. Released at once if it is next, together with what waited for
  // it.
  void complete(Batch batch);

  // Records that are done but wait for a batch before them.
  [[nodiscard]] std::size_t in_flight(PartitionId partition) const;
  // Batches that were dropped.
  [[nodiscard]] const Counter& dropped() const { return dropped_; }

 private:
  struct Chain;

  [[nodiscard]] std::shared_ptr<Chain> find(PartitionId partition) const;
  void drop(Batch batch);

  const Hooks hooks_;
  Counter dropped_;
  mutable Mutex mutex_;
  std::map<PartitionId, std::shared_ptr<Chain>> chains_ GUARDED_BY(mutex_);
};

}  // namespace penstock::sequence
