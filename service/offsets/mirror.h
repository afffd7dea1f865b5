// Mirror: collects what PostgreSQL has committed and hands the newest offsets on to Kafka.
//
// Place in the flow: the write lanes note every commit; somebody ticks, and the `send` hook commits
// what it is handed to the consumer group, so that lag tools and autoscalers see progress. These
// offsets are advisory: Penstock never reads them back as the truth.
//
// Threads: every method from any thread. note() takes one short mutex per commit. `send` runs on
// the thread that ticks or flushes, one at a time, without a lock that note() needs. A round that
// has begun may still send a partition that is forgotten meanwhile. No thread of its own.
// Ownership: the clock outlives the mirror. Failure: none of its own; what `send` cannot deliver is
// superseded by the next round.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "concurrency/mutex.h"
#include "core/clock.h"
#include "core/ids.h"

namespace penstock::offsets {

class Mirror {
 public:
  // A partition and the first offset that is not applied, which is what Kafka stores too.
  using Position = std::pair<PartitionId, Offset>;
  using Send = std::function<void(std::span<const Position> positions)>;

  struct Options {
    // Lag tools and autoscalers look every few seconds at best; two requests per second are
    // nothing to a broker, where one per transaction would be thousands.
    std::chrono::milliseconds interval{500};
  };

  Mirror(Options options, Send send, const Clock& clock = system_clock());

  // From now on, commits of this partition under `epoch` are mirrored.
  void assign(PartitionId id, Epoch epoch);
  // The partition is not ours any more; later notes about it are ignored. Call flush() before, if
  // what is collected should still be sent.
  void forget(PartitionId id);

  // PostgreSQL has committed everything below `next_offset`. Ignored unless the partition is
  // assigned under this epoch; never moves backwards.
  void note(PartitionId id, Epoch epoch, Offset next_offset);

  // Sends what is new if the last round is `interval` ago; nothing new sends nothing.
  void tick();
  // Sends what is new, now.
  void flush();

 private:
  struct Entry {
    Epoch epoch = Epoch::none;
    Offset next_offset = -1;
    bool dirty = false;
  };

  void send_round() REQUIRES(round_);

  const Options options_;
  const Send send_;
  const Clock& clock_;

  Mutex round_;  // before mutex_
  SteadyTime last_round_ GUARDED_BY(round_);
  std::vector<Position> outgoing_ GUARDED_BY(round_);  // kept for its capacity

  Mutex mutex_;
  std::unordered_map<PartitionId, Entry> entries_ GUARDED_BY(mutex_);
};

}  // namespace penstock::offsets
