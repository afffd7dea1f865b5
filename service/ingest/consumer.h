// Polls Kafka on one thread, owns the assignment, and makes RecordBatches.
//
// Place in the flow: first stage. on_batch feeds the workers; what is in flight behind it comes
// back only as bytes released from the budgets, and as reclaim() and mirror(). Threads: the poll
// thread makes every call of a hook, serves every librdkafka callback and destroys every message.
// Public methods may be called from any thread but the poll thread; none blocks but start() and
// stop(). Ownership: the budgets and the clock outlive the consumer; batches belong to who got
// them. Failure: what librdkafka can retry it retries for ever, and on_error and last_error() say
// so. A claim that fails is tried again with backoff while its partition waits, visible as
// waiting_reason. A partition whose position Kafka does not have stops with a blocked_reason; the
// others go on. Stop: close() ends intake but stays in the group, so that what is in flight can
// still be committed; stop() leaves the group, drops open batches and joins. It does not drain:
// that is close(), then waiting for the lanes, then stop().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "concurrency/byte_budget.h"
#include "core/claim.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/record_batch.h"
#include "core/stats.h"

namespace penstock::ingest {

// Where a partition begins that has no stored position.
enum class StartAt : std::uint8_t { earliest, latest, group };

// Independent reasons to hold intake back; it runs when none is set. (The budgets are a further one
// that the consumer watches by itself.)
enum class PauseReason : std::uint8_t { user = 1, breaker = 2, configuration = 4 };

struct ConsumerOptions {
  std::string pipeline;
  std::vector<std::string> topics;  // a topic's index here is its TopicIndex
  std::string group;
  // librdkafka properties of the user; they win over the defaults in kafka_properties.h.
  std::map<std::string, std::string> properties;
  StartAt start_at = StartAt::earliest;

  ByteBudget* read_budget = nullptr;         // charged here with footprint_bytes() before on_batch
  const ByteBudget* write_budget = nullptr;  // only watched
  // A batch is handed on when it has this much, or earlier when nothing more is waiting.
  std::size_t batch_bytes = std::size_t{512} << 10;
  std::size_t batch_records = 4096;
  // librdkafka's own queue, its share of the pipeline's memory.
  std::size_t prefetch_bytes = std::size_t{16} << 20;

  // How long a revoked partition may wait for what is in flight.
  std::chrono::milliseconds drain_timeout{10'000};
  bool capture_trace_links = false;  // read `traceparent` headers into BatchTrace::links
  const Clock* clock = &system_clock();
};

// All are called on the poll thread and must not throw.
struct ConsumerHooks {
  // Raises the epochs and says where to begin. Called in the rebalance callback: it must bound its
  // own waits well below max.poll.interval.ms. An error is tried again with backoff.
  std::function<Result<std::vector<ClaimAnswer>>(std::span<const ClaimRequest>)> claim;
  // A new chain begins: before its first batch.
  std::function<void(PartitionId, Epoch, Offset next)> on_claimed;
  // Not empty of offsets, but maybe of records (the log ended in a gap).
  std::function<void(std::unique_ptr<RecordBatch>)> on_batch;
  // Before revoked partitions are given back: returns when everything handed on is committed, or at
  // the deadline.
  std::function<void(std::span<const PartitionId>, SteadyTime deadline)> drain;
  // The chains of these partitions ended; what is still in flight is to be discarded. on_lost:
  // another member may own them already.
  std::function<void(std::span<const PartitionId>)> on_revoked;
  std::function<void(std::span<const PartitionId>)> on_lost;
  // After on_revoked: drop the claims.
  std::function<void(std::span<const PartitionId>)> release;
  std::function<void(PartitionId, const std::string& reason)> on_partition_blocked;
  std::function<void(const Error&)> on_error;
  // Kafka answered a mirror request for this partition; `error` is empty when it took the offset.
  // May be left empty.
  std::function<void(PartitionId, Offset, SteadyTime begin, SteadyTime end,
                     const std::string& error)>
      on_mirrored;
};

struct ConsumerStats {
  Counter records;
  Counter bytes;  // keys, payloads and headers
  Counter batches;
  Counter rebalances;
  Counter claim_failures;
  Counter mirrored;
  Counter mirror_failures;
  LatencyHistogram poll_latency;  // first record taken → batch handed on
};

struct AssignedPartition {
  PartitionId id;
  std::string topic;
  Epoch epoch = Epoch::none;
  Offset position = -1;        // end of what was handed on; -1: not claimed yet
  Offset high_watermark = -1;  // -1: not known yet
  // Since when, as far as it was seen, the log holds something beyond `position` while that stands
  // still and nothing holds intake back.
  std::optional<SteadyTime> unread_since;
  std::string waiting_reason;  // not empty: nothing is read from it yet, and why; it passes
  std::string blocked_reason;  // not empty: it has stopped and needs a person, and why
};

class Consumer {
 public:
  Consumer(ConsumerOptions options, ConsumerHooks hooks);
  ~Consumer();  // stop()
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Joins the group. Fails only for properties that librdkafka refuses; an unreachable broker is
  // reported through on_error and retried. A second start does nothing.
  Result<void> start();
  // No more input; open batches are handed on. Rebalances go on until stop().
  void close();
  void stop();

  void pause(PauseReason reason);
  void resume(PauseReason reason);

  // After a fence: ends the chain of that epoch, claims anew and goes on at the stored position, if
  // the partition is still ours. With a foreign owner, only after the group has confirmed that we
  // are a member (a rebalance, or still assigned when the session timeout has passed), so that a
  // zombie never steals. Does nothing if the epoch is not the current one.
  void reclaim(PartitionId partition, Epoch old_epoch, bool foreign_owner);
  // Commits these positions to Kafka for lag tools. Advisory: coalesced, asynchronous, held back
  // during rebalances, and failures are only counted.
  void mirror(std::span<const std::pair<PartitionId, Offset>> positions);

  [[nodiscard]] std::vector<AssignedPartition> partitions() const;
  [[nodiscard]] const ConsumerStats& stats() const;
  // When the poll loop last came round. It stands still while a hook runs (drain: up to
  // drain_timeout).
  [[nodiscard]] SteadyTime heartbeat() const;
  // A member of the group, with an assignment (maybe an empty one).
  [[nodiscard]] bool joined() const;
  // The last thing Kafka complained about; nothing once the group was joined after it.
  [[nodiscard]] std::optional<Error> last_error() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::ingest
