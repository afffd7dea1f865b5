// A running pipeline: every stage, built in the order in which data flows, stopped in reverse.
//
//   consumer ─▶ workers ─▶ sequencer ─▶ lanes ─▶ PostgreSQL
//
// Place: Service owns one per spec. This file is where stages meet: none of them knows another.
// Threads: start(), close(), abandon() from one thread; everything else from any thread. The hooks
// below say on which stage's thread they run.
// Ownership: `tracer` must outlive the pipeline.
// Failure: what stages cannot solve by themselves ends up in the snapshot's state, state_reason and
// last_error; nothing here throws after start().
// Stop: close() drains within the spec's drain_timeout and leaves the group; abandon() may be
// called while it does, from another thread, and makes it return soon. Nothing runs afterwards.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "compute/process_batch.h"
#include "concurrency/byte_budget.h"
#include "concurrency/mutex.h"
#include "concurrency/worker_pool.h"
#include "core/pipeline_status.h"
#include "flow/in_flight.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"
#include "ingest/consumer.h"
#include "offsets/claims.h"
#include "penstock/v1/pipeline.pb.h"
#include "plan/bind.h"
#include "sequence/sequencer.h"
#include "telemetry/tracing.h"
#include "write/lane.h"

namespace penstock::flow {

class Flow {
 public:
  Flow(v1::PipelineSpec spec, plan::Binding binding, telemetry::Tracer& tracer);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  [[nodiscard]] Result<void> start();
  void close();
  void abandon();

  void pause(std::string_view reason);
  void resume();
  // Stops fetching and waits until what was polled is committed. Stays paused.
  [[nodiscard]] Result<void> drain(std::chrono::milliseconds timeout);

  [[nodiscard]] const v1::PipelineSpec& spec() const { return spec_; }
  [[nodiscard]] PipelineSnapshot snapshot() const;

 private:
  struct Progress {
    Epoch epoch = Epoch::none;
    Offset committed = -1;
    SteadyTime committed_at{};  // when it last moved, or was claimed
    TraceLink last_batch{};     // the span of the last batch that was committed
  };

  ingest::ConsumerHooks consumer_hooks();
  write::LaneHooks lane_hooks(int lane);
  WorkerPool::Worker make_worker();

  // ingest's thread
  void on_claimed(PartitionId partition, Epoch epoch, Offset next);
  void on_batch(std::unique_ptr<RecordBatch> batch);
  void drain_partitions(std::span<const PartitionId> partitions, SteadyTime deadline);
  void end_partitions(std::span<const PartitionId> partitions);
  void forget_partitions(std::span<const PartitionId> partitions);
  void release_claims(std::span<const PartitionId> partitions);
  void on_mirrored(PartitionId partition, Offset offset, SteadyTime begin, SteadyTime end,
                   const std::string& error);
  // a worker's thread
  void process(compute::BatchProcessor<formats::JsonReader>& processor,
               std::unique_ptr<RecordBatch> batch);
  // a lane's thread
  void on_committed(std::span<std::unique_ptr<RowBatch>> batches, const write::CommitStats& stats);
  void on_fenced(PartitionId partition, Epoch mine, std::optional<Epoch> found);
  void on_availability(int lane, bool available, const Error& error);
  void on_configuration_error(const Error& error);
  // any thread
  void finish(const RowBatch& batch);
  void remember_error(std::string message);
  TraceLink trace(const RowBatch& batch, const write::CommitStats& stats);
  void log_rejects(const RowBatch& batch) const;
  write::Lane& lane_of(PartitionId partition);
  void fill_partitions(std::span<const ingest::AssignedPartition> assigned,
                       PipelineSnapshot& snapshot) const;
  void decide_state(PipelineSnapshot& snapshot) const;
  void explain_standstills(std::span<const ingest::AssignedPartition> assigned, SteadyTime now,
                           PipelineSnapshot& snapshot) const;

  const v1::PipelineSpec spec_;
  const plan::Binding binding_;
  telemetry::Tracer& tracer_;
  std::vector<std::shared_ptr<const telemetry::TraceTarget>> trace_targets_;  // by TopicIndex
  const formats::FieldTree fields_;

  ByteBudget read_budget_;
  ByteBudget write_budget_;
  InFlight in_flight_;

  // In the order in which data flows; destroyed in reverse.
  offsets::Claims claims_;
  std::unique_ptr<ingest::Consumer> consumer_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<sequence::Sequencer> sequencer_;
  std::vector<std::unique_ptr<write::Lane>> lanes_;

  std::atomic<bool> draining_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> stopped_{false};

  Counter records_filtered_;
  Counter rows_committed_;
  Counter dead_letters_committed_;
  Counter transactions_committed_;
  Counter transactions_by_copy_;
  Counter batches_dropped_;
  std::array<Counter, 4> rejects_by_stage_;
  LatencyHistogram process_latency_;
  LatencyHistogram queue_latency_;
  LatencyHistogram write_latency_;
  LatencyHistogram end_to_end_latency_;

  mutable Mutex mutex_;
  std::unordered_map<PartitionId, Progress> progress_ GUARDED_BY(mutex_);
  bool paused_by_user_ GUARDED_BY(mutex_) = false;
  std::string pause_reason_ GUARDED_BY(mutex_);
  std::string configuration_error_ GUARDED_BY(mutex_);
  std::set<int> lanes_down_ GUARDED_BY(mutex_);  // whose breaker is open
  std::string outage_ GUARDED_BY(mutex_);        // and why
  std::string last_error_ GUARDED_BY(mutex_);
  SystemTime last_error_at_ GUARDED_BY(mutex_){};
};

}  // namespace penstock::flow
