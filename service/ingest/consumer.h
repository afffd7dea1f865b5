// Reads one pipeline's topics from Kafka: owns the assignment, claims it, and makes RecordBatches.
//
// Place in the flow: first stage. Every claim becomes a Chain, every batch of it goes to the next
// stage's RecordSink with its Charge, and ChainEvents hears what else becomes of chains.
// Threads: a poller's (see pollers.h) serves librdkafka's callbacks, makes the chains, and is
// "ingest's thread" of RecordSink and ChainEvents. It never waits for a server: what may (claims,
// questions to the cluster) is a job of the Executor. Public methods may be called from any thread
// but the poller's and the Executor's; none blocks but start() and stop().
// Ownership: all references outlive it.
// Failure: what librdkafka can retry it retries for ever, and last_error() says so; fatal() is what
// it cannot. A claim that fails or throws is tried again with backoff while its partition waits,
// visible as waiting_reason. When the ClaimStore has been silent for 12 s, the consumer leaves the
// group if that has other members, and joins again when it answers. A partition whose position
// Kafka does not have stops with a blocked_reason; the others go on. Stop: close() ends intake but
// stays in the group, so that what is in flight can still be committed; stop() leaves the group,
// drops open batches and ends the chains. It does not drain: that is close(), flush(), waiting for
// InFlight, then stop().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concurrency/executor.h"
#include "core/batch_trace.h"
#include "core/charge.h"
#include "core/claim.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/plan.h"
#include "core/stages.h"
#include "core/stats.h"
#include "core/topics.h"
#include "ingest/pollers.h"
#include "kafka/topic_pattern.h"

namespace penstock::ingest {

// Where a partition begins that has no stored position.
enum class StartAt : std::uint8_t { earliest, latest, group };

// Independent reasons to hold intake back; it runs when none is set. (InFlight's budgets are a
// further one that the consumer watches by itself.)
enum class PauseReason : std::uint8_t { user = 1, breaker = 2, configuration = 4 };

struct ConsumerOptions {
  std::string pipeline;
  Topics topics;
  // Instead: those of the cluster that match, which are added to `topics` as they are found.
  std::optional<kafka::TopicPattern> topics_matching;
  std::string group;
  // librdkafka properties of the user; they win over the defaults in kafka/properties.h.
  std::map<std::string, std::string> properties;
  StartAt start_at = StartAt::earliest;

  // A batch is handed on when it has this much, or earlier when nothing more is waiting.
  std::size_t batch_bytes = std::size_t{512} << 10;
  std::size_t batch_records = 4096;
  // librdkafka's own queue, its share of the pipeline's memory.
  std::size_t prefetch_bytes = std::size_t{16} << 20;

  // How long a revoked partition may wait for what is in flight; not at all while the breaker holds
  // intake back, since nothing is committed then.
  std::chrono::milliseconds drain_timeout{10'000};
  // Some refused records wait: a partition that stands still for one is not read on for ever.
  bool records_may_wait = false;
  // The context that a batch's spans will have; with it `traceparent` headers are read into
  // BatchTrace::links. Null: nobody traces.
  std::function<TraceLink()> trace_context = nullptr;
  const Clock* clock = &system_clock();
};

struct ConsumerStats {
  Counter records;
  Counter bytes;  // keys, payloads and headers
  Counter batches;
  Counter rebalances;
  Counter claim_failures;
  Counter steps_aside;  // the group was left, because the database did not answer
  Counter mirrored;
  Counter mirror_failures;
  // Offsets that were passed over because the log holds no record there for us. Those between two
  // records of one leader are compaction, transaction markers, aborted records; between two leaders
  // records may be missing, too (an unclean election).
  Counter gap_offsets_same_leader;
  Counter gap_offsets_new_leader;
  LatencyHistogram poll_latency;  // first record taken → batch handed on
};

struct AssignedPartition {
  PartitionId id;
  std::string topic;
  std::shared_ptr<Chain> chain;  // of its claim; none before that
  Offset position = -1;          // end of what was handed on; -1: not claimed yet
  Offset high_watermark = -1;    // -1: not known yet
  // The topic was made again: its ends say nothing of how far the chain has come.
  bool log_is_another = false;
  // Since when, as far as it was seen, the log holds something beyond `position` while that stands
  // still and nothing holds intake back.
  std::optional<SteadyTime> unread_since;
  std::string waiting_reason;  // not empty: nothing is read from it now, and why; it passes
  std::string blocked_reason;  // not empty: it has stopped and needs a person, and why
};

class Consumer {
 public:
  // `plans` says what claims are made under.
  Consumer(ConsumerOptions options, PlanSource& plans, Pollers& pollers, Executor& executor,
           ClaimStore& claims, InFlight& in_flight, RecordSink& next, ChainEvents& events);
  ~Consumer();  // stop(), if nobody did
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Joins the group. Fails only for properties that librdkafka refuses; an unreachable broker is
  // reported through last_error() and retried. A second start does nothing.
  Result<void> start();
  // No more input; open batches are handed on. Rebalances go on until stop().
  void close();
  // Leaves the group and returns when no call of RecordSink, ChainEvents or ClaimStore is made any
  // more, at the latest after `limit` (and what a ClaimStore takes to notice that it is cancelled),
  // whatever the brokers do: the group then finds out by itself. A second stop does nothing.
  void stop(std::chrono::milliseconds limit);

  void pause(PauseReason reason);
  void resume(PauseReason reason);

  // For draining: everything that was polled before flush() has been handed to the next stage when
  // flushed() is true of what it returned. Paused or closed before, nothing follows it.
  [[nodiscard]] std::uint64_t flush();
  [[nodiscard]] bool flushed(std::uint64_t ticket) const;

  // After a fence: ends the chain, if nobody did, claims its partition anew and goes on at the
  // stored position, if the partition is still ours. With a foreign owner, only after the group has
  // confirmed that we are a member (a rebalance, or still assigned when the session timeout has
  // passed), so that a zombie never steals. Does nothing if the chain is not the current one.
  void reclaim(const std::shared_ptr<Chain>& chain, bool foreign_owner);
  // The chain has ended, because too many of its records are rejected: its partition stops. It is
  // read again every minute, from where it stands, and goes on when others come than before; until
  // something of it is committed it is shown as blocked.
  void block_for_rejects(const std::shared_ptr<Chain>& chain, const Error& why);
  // Those are read again at once. `accept`: what is rejected becomes dead letters, also of those
  // that go on.
  void retry_rejects(bool accept);
  // The plan does not hold any more: its chains end, as after a fence, and are claimed under the
  // one that PlanSource gives for their topics now.
  void replan(std::shared_ptr<const Plan> outdated);
  // Commits this position to Kafka for lag tools. Advisory: coalesced, asynchronous, held back
  // during rebalances, dropped if the chain is not the current one of its partition any more;
  // failures are only counted.
  void mirror(const std::shared_ptr<Chain>& chain, Offset offset);

  // In the order of their ids.
  [[nodiscard]] std::vector<AssignedPartition> partitions() const;
  [[nodiscard]] const ConsumerStats& stats() const;
  // When its poller last came round.
  [[nodiscard]] SteadyTime heartbeat() const;
  // A member of the group, with an assignment (maybe an empty one).
  [[nodiscard]] bool joined() const;
  // Not empty: it has left the group for others to go on, and why; it joins again by itself.
  [[nodiscard]] std::string aside_reason() const;
  // Topics that the cluster does not have, as of its last answer; they are read when it has them.
  [[nodiscard]] std::vector<std::string> missing_topics() const;
  // Not empty: no topic matches the pattern, as far as the cluster said.
  [[nodiscard]] std::string search_reason() const;
  // The last thing Kafka complained about; nothing once the group was joined after it.
  [[nodiscard]] std::optional<Error> last_error() const;
  // librdkafka gave up, or we did: only another Consumer helps.
  [[nodiscard]] std::optional<Error> fatal() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock::ingest
