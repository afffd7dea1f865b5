// What a pipeline looks like from outside, gathered from its stages.
#include <algorithm>
#include <format>

#include "flow/flow.h"
#include "flow/standstill.h"

namespace penstock::flow {

PipelineSnapshot Flow::snapshot() const {
  PipelineSnapshot snapshot;
  snapshot.name = spec_.name();
  snapshot.group = spec_.source().group();
  snapshot.tables = {binding_.table.schema + "." + binding_.table.name};
  snapshot.schema_current = true;  // start() refuses otherwise

  const ingest::ConsumerStats& ingest = consumer_->stats();
  PipelineCounters& counters = snapshot.counters;
  counters.records_polled = ingest.records.value();
  counters.bytes_polled = ingest.bytes.value();
  counters.rebalances = ingest.rebalances.value();
  counters.records_filtered = records_filtered_.value();
  counters.rows_committed = rows_committed_.value();
  counters.dead_letters_committed = dead_letters_committed_.value();
  counters.transactions_committed = transactions_committed_.value();
  counters.transactions_by_copy = transactions_by_copy_.value();
  counters.batches_dropped = batches_dropped_.value();
  for (std::size_t i = 0; i < rejects_by_stage_.size(); ++i) {
    counters.rejects_by_stage[i] = rejects_by_stage_[i].value();
  }

  const SteadyTime now = system_clock().steady_now();
  const auto age = [now](SteadyTime beat) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - beat);
  };
  snapshot.heartbeats.push_back({"poll", age(consumer_->heartbeat())});
  snapshot.longest_batch = workers_->longest_running();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const write::LaneCounters& lane = lanes_[i]->counters();
    counters.transactions_failed += lane.transactions_failed.value();
    counters.commits_unknown += lane.commits_unknown.value();
    counters.bisections += lane.bisections.value();
    counters.fenced += lane.fenced.value();
    counters.breaker_opened += lane.breaker_opened.value();
    snapshot.heartbeats.push_back({std::format("lane-{}", i), age(lanes_[i]->heartbeat())});
  }

  if (const auto oldest = in_flight_.oldest()) snapshot.oldest_in_flight_age = age(*oldest);

  snapshot.group_joined = consumer_->joined();
  snapshot.workers = workers_->threads();
  snapshot.worker_utilisation = workers_->utilisation();
  snapshot.lanes = static_cast<std::int64_t>(lanes_.size());
  snapshot.read_bytes_used = static_cast<std::int64_t>(read_budget_.used());
  snapshot.read_bytes_limit = static_cast<std::int64_t>(read_budget_.limit());
  snapshot.write_bytes_used = static_cast<std::int64_t>(write_budget_.used());
  snapshot.write_bytes_limit = static_cast<std::int64_t>(write_budget_.limit());
  snapshot.poll_latency = ingest.poll_latency.snapshot();
  snapshot.process_latency = process_latency_.snapshot();
  snapshot.queue_latency = queue_latency_.snapshot();
  snapshot.write_latency = write_latency_.snapshot();
  snapshot.end_to_end_latency = end_to_end_latency_.snapshot();

  const std::vector<ingest::AssignedPartition> assigned = consumer_->partitions();
  fill_partitions(assigned, snapshot);
  decide_state(snapshot);
  // Any other state says why nothing moves.
  if (snapshot.state == PipelineState::running) explain_standstills(assigned, now, snapshot);
  return snapshot;
}

void Flow::fill_partitions(std::span<const ingest::AssignedPartition> assigned,
                           PipelineSnapshot& snapshot) const {
  const MutexLock lock(mutex_);
  for (const ingest::AssignedPartition& partition : assigned) {
    PartitionStatus status;
    status.topic = partition.topic;
    status.partition = partition.id.partition;
    status.epoch = partition.epoch;
    status.high_watermark = partition.high_watermark;
    status.waiting_reason = partition.waiting_reason;
    status.blocked_reason = partition.blocked_reason;
    status.in_flight_records = in_flight_.records(partition.id);
    const auto progress = progress_.find(partition.id);
    if (progress != progress_.end()) status.committed_offset = progress->second.committed;
    if (status.committed_offset >= 0 && status.high_watermark >= 0) {
      status.lag_records =
          std::max<std::int64_t>(0, status.high_watermark - status.committed_offset);
    }
    snapshot.partitions.push_back(std::move(status));
  }
}

void Flow::explain_standstills(std::span<const ingest::AssignedPartition> assigned, SteadyTime now,
                               PipelineSnapshot& snapshot) const {
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const ingest::AssignedPartition& partition = assigned[i];
    PartitionStatus& status = snapshot.partitions[i];
    if (!status.waiting_reason.empty() || !status.blocked_reason.empty()) continue;
    PartitionMotion motion{.taken = partition.position,
                           .log_end = partition.high_watermark,
                           .in_flight_records = in_flight_.records(partition.id),
                           .in_flight_since = in_flight_.since(partition.id),
                           .unread_since = partition.unread_since};
    // After what is in flight: what was finished in between has moved the position.
    const MutexLock lock(mutex_);
    const auto progress = progress_.find(partition.id);
    if (progress == progress_.end()) continue;
    motion.committed = progress->second.committed;
    motion.committed_at = progress->second.committed_at;
    status.waiting_reason = standstill(motion, now);
  }
}

// What matters most to whoever looks comes first.
void Flow::decide_state(PipelineSnapshot& snapshot) const {
  const auto kafka_error = consumer_->last_error();
  const auto all_have = [&partitions = snapshot.partitions](std::string PartitionStatus::* reason) {
    return !partitions.empty() && std::ranges::none_of(partitions, &std::string::empty, reason);
  };
  const MutexLock lock(mutex_);
  snapshot.last_error = last_error_;
  snapshot.last_error_at = last_error_at_;
  snapshot.paused_by_user = paused_by_user_;
  snapshot.breaker_open = !lanes_down_.empty();
  snapshot.database_reachable = lanes_down_.empty();

  const auto decide = [&snapshot](PipelineState state, std::string reason) {
    snapshot.state = state;
    snapshot.state_reason = std::move(reason);
  };
  if (stopped_) {
    decide(PipelineState::stopped, {});
  } else if (closing_ || draining_) {
    decide(PipelineState::draining, closing_ ? "shutting down" : "asked to drain");
  } else if (!configuration_error_.empty()) {
    decide(PipelineState::paused, configuration_error_);
  } else if (paused_by_user_) {
    decide(PipelineState::paused, pause_reason_);
  } else if (snapshot.breaker_open) {
    decide(PipelineState::backoff, outage_);
  } else if (all_have(&PartitionStatus::blocked_reason)) {
    decide(PipelineState::failed, snapshot.partitions.front().blocked_reason);
  } else if (all_have(&PartitionStatus::waiting_reason)) {
    decide(PipelineState::starting, snapshot.partitions.front().waiting_reason);
  } else if (!snapshot.group_joined) {
    decide(PipelineState::starting, kafka_error ? kafka_error->to_string() : "joining the group");
  } else {
    decide(PipelineState::running, {});
  }
}

}  // namespace penstock::flow
