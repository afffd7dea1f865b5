// What a pipeline looks like from outside, and what can be asked of it.
//
// app/ implements PipelineControl; control/ (gRPC, HTTP) and telemetry/ (metrics) only read
// snapshots and pass on requests. Threads: every member may be called from any thread; none blocks
// for longer than a mutex, except drain().
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "core/row_batch.h"
#include "core/stats.h"

namespace penstock {

enum class PipelineState : std::uint8_t {
  starting,  // connecting, migrating, checking
  running,
  paused,    // by a person, or by a configuration error that appeared while running
  backoff,   // PostgreSQL is away: the circuit breaker is open, ingest is paused; or all partitions
             // wait, for it or for their brokers
  draining,  // no more input; what is in flight is being committed
  stopped,
  failed,  // cannot go on until a person has acted: see last_error
};

[[nodiscard]] std::string_view to_string(PipelineState state);

struct PartitionStatus {
  std::string topic;
  std::int32_t partition = 0;
  Epoch epoch = Epoch::none;
  Offset committed_offset = -1;   // next_offset in PostgreSQL; -1: not known yet
  Offset high_watermark = -1;     // the log's end in Kafka; -1: not known yet
  std::int64_t lag_records = -1;  // high_watermark - committed_offset; -1: not known yet
  std::int64_t in_flight_records = 0;
  // Not empty: it is not read yet, or has not moved for a minute although records wait, and why.
  std::string waiting_reason;
  std::string blocked_reason;  // not empty: it has stopped and needs a person, and why
};

// Counters since the process started; units in the names.
struct PipelineCounters {
  std::uint64_t records_polled = 0;
  std::uint64_t bytes_polled = 0;
  std::uint64_t records_filtered = 0;
  std::uint64_t rows_committed = 0;
  std::uint64_t rows_unchanged = 0;  // CommitStats::unchanged_rows
  std::uint64_t dead_letters_committed = 0;
  std::uint64_t dead_letters_copied = 0;  // to a topic
  std::uint64_t transactions_committed = 0;
  std::uint64_t transactions_by_copy = 0;  // the rest went by a pipelined round trip
  std::uint64_t transactions_failed = 0;   // rolled back or broken, then tried again
  std::uint64_t commits_unknown = 0;       // COMMIT's answer was lost; resolved by reading
  std::uint64_t bisections = 0;
  std::uint64_t fenced = 0;  // partitions dropped by the fence
  std::uint64_t rebalances = 0;
  std::uint64_t steps_aside = 0;  // how often the group was left to those whom PostgreSQL answers
  std::uint64_t batches_dropped = 0;  // of an old epoch, or of a lost partition
  // Offsets between records that held none for us: compaction, transaction markers, aborted
  // records; where the leader changed in between, records may be missing, too.
  std::uint64_t gap_offsets_same_leader = 0;
  std::uint64_t gap_offsets_new_leader = 0;
  std::uint64_t breaker_opened = 0;
  // Rejects by stage, in the order of `Stage`.
  std::array<std::uint64_t, 4> rejects_by_stage{};
};

struct PipelineSnapshot {
  std::string name;
  std::string group;
  std::vector<std::string> tables;  // that it writes, as "schema.table", in the order of its routes
  PipelineState state = PipelineState::starting;
  // Why it is paused, in backoff or failed; of one that runs, which partitions do not, and why.
  std::string state_reason;
  std::string last_error;
  SystemTime last_error_at{};
  std::vector<PartitionStatus> partitions;
  PipelineCounters counters;

  // Of its partitions, to be copied to a topic; nothing: they are not copied.
  std::optional<std::int64_t> dead_letters_to_copy;

  bool group_joined = false;
  // Not empty: it has left the group, because PostgreSQL does not answer this process and other
  // members can go on; it joins again by itself.
  std::string aside_reason;
  bool database_asked = true;  // else nothing is known of it yet
  bool database_reachable = false;
  bool schema_current = false;
  bool breaker_open = false;
  bool paused_by_user = false;

  std::int64_t workers = 0;
  double worker_utilisation = 0;  // 0..1
  std::int64_t lanes = 0;
  std::int64_t read_bytes_used = 0;
  std::int64_t read_bytes_limit = 0;
  std::int64_t write_bytes_used = 0;
  std::int64_t write_bytes_limit = 0;

  // Since the oldest record in flight was taken from Kafka; 0 when none is.
  std::chrono::milliseconds oldest_in_flight_age{};

  // The batch that a worker has been at for longest; 0 when all are idle. Long is not stuck: what a
  // record may cost is up to the expressions.
  std::chrono::milliseconds longest_batch{};

  // Ages of the last turn of every loop of this pipeline that comes round within a second whatever
  // it works on: the poll loop and the lanes. An old one stands still.
  struct Heartbeat {
    std::string loop;
    std::chrono::milliseconds age{};
  };
  std::vector<Heartbeat> heartbeats;

  LatencyHistogram::Snapshot poll_latency;        // first record taken → batch handed on
  LatencyHistogram::Snapshot process_latency;     // per batch, in a worker
  LatencyHistogram::Snapshot queue_latency;       // handed on → worker takes it
  LatencyHistogram::Snapshot write_latency;       // per transaction, BEGIN → COMMIT answered
  LatencyHistogram::Snapshot fence_latency;       // per transaction: how long the fence took
  LatencyHistogram::Snapshot end_to_end_latency;  // per record: its Kafka timestamp → committed
};

class PipelineControl {
 public:
  virtual ~PipelineControl() = default;

  [[nodiscard]] virtual std::vector<PipelineSnapshot> snapshots() const = 0;
  [[nodiscard]] virtual std::optional<PipelineSnapshot> snapshot(std::string_view name) const = 0;

  // Stops fetching; what is in flight is committed. Idempotent.
  virtual Result<void> pause(std::string_view name, std::string_view reason) = 0;
  // `accept_rejects`: also where too many records are rejected.
  virtual Result<void> resume(std::string_view name, bool accept_rejects) = 0;
  // Stops fetching and waits until everything polled so far is committed. Leaves the pipeline
  // paused. deadline_exceeded when `timeout` passes first (draining then goes on by itself).
  virtual Result<void> drain(std::string_view name, std::chrono::milliseconds timeout) = 0;
};

}  // namespace penstock
