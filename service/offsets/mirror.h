// Mirror: collects what PostgreSQL has committed and hands the newest offsets on to Kafka.
//
// Place in the flow: the write lanes note every commit; ingest's poll thread ticks and commits what
// it is handed to the consumer group, so that lag tools and autoscalers see progress. These offsets
// are advisory: Penstock never reads them back as the truth.
//
// Threads: note() from any lane thread (one short mutex per commit); assign(), forget(), tick() and
// flush() only from the thread that owns the consumer, and `send` runs there. No thread of its own.
// Failure: none of its own; what `send` cannot deliver is superseded by the next round.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "concurrency/mutex.h"
#include "core/clock.h"
#include "core/ids.h"

namespace penstock::offsets {

class Mirror {
 public:
  struct Position {
    PartitionId id;
    Offset next_offset = 0;  // the first offset not applied, as Kafka wants it too
    friend bool operator==(const Position&, const Position&) = default;
  };
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

  // Sends what is new if the last round is `interval` ago. Do not call while a rebalance is going
  // on: librdkafka before 2.10 can lose an assignment then.
  void tick();
  // Sends what is new, now.
  void flush();

 private:
  struct Entry {
    Epoch epoch = Epoch::none;
    Offset next_offset = -1;
    bool dirty = false;
  };

  const Options options_;
  const Send send_;
  const Clock& clock_;
  SteadyTime last_round_;
  std::vector<Position> outgoing_;  // kept for its capacity

  Mutex mutex_;
  std::unordered_map<PartitionId, Entry> entries_ GUARDED_BY(mutex_);
};

}  // namespace penstock::offsets
