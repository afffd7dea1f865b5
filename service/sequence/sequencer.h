// Puts the batches of a chain back in offset order.
//
// Place in the flow: workers complete batches in any order; a batch goes on to its lane when
// everything before it in its chain has. What it knows of a chain stands in the chain itself.
// Threads: any thread may call anything. Chains do not wait for each other: each has its lock, held
// while the next stage takes a batch, which is what keeps two workers from releasing in the wrong
// order.
// Failure: a batch of an ended chain, or one that does not belong where its chain stands, is
// dropped: destroyed, which gives back what it was charged.
// Stop: nothing runs here by itself. After drop_waiting() has returned for an ended chain, no batch
// of it goes on any more.
#pragma once

#include "core/stages.h"
#include "core/stats.h"

namespace penstock::sequence {

class Sequencer final : public RowSink {
 public:
  // `next` must outlive it.
  explicit Sequencer(RowSink& next) : next_(next) {}

  // A worker is done with a batch. It goes on at once if it is next, together with what waited for
  // it.
  void accept(std::unique_ptr<RowBatch> batch) override;
  // The chain has ended: what waits in it for a batch before it is dropped.
  void drop_waiting(Chain& chain);

  // Batches that were dropped.
  [[nodiscard]] const Counter& dropped() const { return dropped_; }

 private:
  RowSink& next_;
  Counter dropped_;
};

}  // namespace penstock::sequence
