// The group's offsets in Kafka, kept near the true positions in PostgreSQL, for lag tools.
//
// Advisory: coalesced, asynchronous, never sent while the group forms anew; failures are counted.
// Threads: note() from any; the rest from the consumer's poller. Whether the group is still the one
// that we know is asked by a job, because librdkafka answers that from a thread of its own.
// Private to ingest/.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/chain.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "ingest/consumer.h"
#include "ingest/jobs.h"

struct rd_kafka_s;
struct rd_kafka_topic_partition_list_s;

namespace penstock::ingest {

class Assignment;

class Mirror {
 public:
  Mirror(const ConsumerOptions& options, ChainEvents& events, ConsumerStats& stats, Jobs& jobs)
      : options_(options), events_(events), stats_(stats), jobs_(jobs) {}

  // True: it is the first since the last send, so that the poller has to come round.
  bool note(const std::shared_ptr<Chain>& chain, Offset offset) EXCLUDES(mutex_);
  // Sends what is due; returns when the next may be, if there is one.
  [[nodiscard]] std::optional<SteadyTime> send(SteadyTime now,
                                               const std::shared_ptr<rd_kafka_s>& kafka,
                                               Assignment& assignment) EXCLUDES(mutex_);
  // The next send() need not wait for its time.
  void hurry() { next_ = {}; }
  // Kafka's answer, in librdkafka's callback.
  void answered(int code, const rd_kafka_topic_partition_list_s* list);
  // Its answer is still to come.
  [[nodiscard]] bool on_its_way() const { return !sent_.empty(); }

 private:
  struct Position {
    std::shared_ptr<Chain> chain;
    Offset offset = 0;
  };
  using Positions = std::map<PartitionId, Position>;

  void take_back(Positions positions) EXCLUDES(mutex_);

  const ConsumerOptions& options_;
  ChainEvents& events_;
  ConsumerStats& stats_;
  Jobs& jobs_;
  mutable Mutex mutex_;
  Positions noted_ GUARDED_BY(mutex_);
  // The poller's.
  Positions sent_;  // on their way
  SteadyTime begin_{};
  SteadyTime next_{};
};

}  // namespace penstock::ingest
