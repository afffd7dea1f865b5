// What a pipeline looks like from outside, gathered from its stages.
#include <algorithm>
#include <format>
#include <set>
#include <string>
#include <utility>

#include "flow/flow.h"
#include "flow/standstill.h"
#include "kafka/probe.h"
#include "text/plural.h"

namespace penstock::flow {

PipelineSnapshot Flow::snapshot() const {
  PipelineSnapshot snapshot;
  snapshot.name = spec_.name();
  snapshot.group = spec_.source().group();
  snapshot.tables = plans_->table_names();
  snapshot.schema_current = true;  // start() refuses otherwise
  observer_.fill(snapshot);

  const ingest::ConsumerStats& ingest = consumer_->stats();
  PipelineCounters& counters = snapshot.counters;
  counters.records_polled = ingest.records.value();
  counters.bytes_polled = ingest.bytes.value();
  counters.rebalances = ingest.rebalances.value();
  counters.steps_aside = ingest.steps_aside.value();
  counters.gap_offsets_same_leader = ingest.gap_offsets_same_leader.value();
  counters.gap_offsets_new_leader = ingest.gap_offsets_new_leader.value();
  const write::WriterCounters& writer = writer_->counters();
  counters.transactions_failed = writer.transactions_failed.value();
  counters.fenced = writer.fenced.value();
  counters.commits_unknown = writer.commits_unknown.value();
  counters.bisections = writer.bisections.value();
  counters.breaker_opened = writer.breaker_opened.value();
  counters.batches_dropped =
      work_->dropped().value() + sequencer_->dropped().value() + writer.batches_dropped.value();

  std::string copies;  // why they wait
  if (copier_) {
    dead_letters::Copier::Status copied = copier_->status();
    counters.dead_letters_copied = copied.copied;
    snapshot.dead_letters_to_copy = copied.waiting;
    copies = std::move(copied.reason);
  }

  const SteadyTime now = system_clock().steady_now();
  const auto age = [now](SteadyTime beat) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - beat);
  };
  snapshot.heartbeats.push_back({"poll", age(consumer_->heartbeat())});
  snapshot.longest_batch = work_->longest_running();
  const std::vector<write::LaneStatus> lanes = writer_->lanes();
  for (const auto& lane : lanes) {
    snapshot.heartbeats.push_back({std::format("lane-{}", lane.number), lane.heartbeat_age});
  }
  if (const auto oldest = in_flight_.oldest()) snapshot.oldest_in_flight_age = age(*oldest);

  snapshot.group_joined = consumer_->joined();
  snapshot.aside_reason = consumer_->aside_reason();
  snapshot.workers = engine_.workers.threads();
  snapshot.worker_utilisation = engine_.workers.utilisation();
  snapshot.lanes = static_cast<std::int64_t>(lanes.size());
  snapshot.read_bytes_used = static_cast<std::int64_t>(in_flight_.read.used());
  snapshot.read_bytes_limit = static_cast<std::int64_t>(in_flight_.read.limit());
  snapshot.write_bytes_used = static_cast<std::int64_t>(in_flight_.write.used());
  snapshot.write_bytes_limit = static_cast<std::int64_t>(in_flight_.write.limit());
  snapshot.poll_latency = ingest.poll_latency.snapshot();
  snapshot.process_latency = work_->process_latency().snapshot();
  snapshot.queue_latency = work_->queue_latency().snapshot();

  const std::vector<ingest::AssignedPartition> assigned = consumer_->partitions();
  fill_partitions(assigned, snapshot);
  health_.fill(snapshot, consumer_->last_error(), consumer_->fatal());
  // Any other state says why nothing moves.
  if (snapshot.state == PipelineState::running) {
    if (assigned.empty()) {
      snapshot.state_reason = std::format(
          "no partition is assigned to this process: other members of consumer group \"{}\" have "
          "all that the group knows of",
          snapshot.group);
    }
    explain_standstills(assigned, now, snapshot);
    explain_missing_topics(snapshot);
    explain_waiting_records(assigned, snapshot);
    explain_waiting_topics(snapshot);
    if (!copies.empty()) {
      snapshot.state_reason += (snapshot.state_reason.empty() ? "" : "; ") + copies;
    }
  }
  const std::string search = consumer_->search_reason();
  if (!search.empty() &&
      (snapshot.state == PipelineState::running || snapshot.state == PipelineState::starting)) {
    snapshot.state = PipelineState::starting;
    snapshot.state_reason = search;
  }
  return snapshot;
}

void Flow::fill_partitions(std::span<const ingest::AssignedPartition> assigned,
                           PipelineSnapshot& snapshot) const {
  for (const ingest::AssignedPartition& partition : assigned) {
    PartitionStatus status;
    status.topic = partition.topic;
    status.partition = partition.id.partition;
    status.high_watermark = partition.high_watermark;
    status.waiting_reason = partition.waiting_reason;
    status.blocked_reason = partition.blocked_reason;
    if (const Chain* const chain = partition.chain.get()) {
      status.epoch = chain->epoch;
      status.committed_offset = chain->committed();
      status.in_flight_records = chain->records_in_flight();
      if (status.waiting_reason.empty() && status.blocked_reason.empty()) {
        status.waiting_reason = health_.stall_reason(chain->lane);
        if (status.waiting_reason.empty()) status.waiting_reason = chain->waiting_reason();
      }
    }
    if (status.committed_offset >= 0 && status.high_watermark >= 0) {
      status.lag_records =
          std::max<std::int64_t>(0, status.high_watermark - status.committed_offset);
    }
    snapshot.partitions.push_back(std::move(status));
  }
}

void Flow::explain_missing_topics(PipelineSnapshot& snapshot) const {
  const std::vector<std::string> missing = consumer_->missing_topics();
  if (missing.empty()) return;
  const auto all = static_cast<std::size_t>(spec_.source().topics_size());
  if (missing.size() == all) snapshot.state = PipelineState::starting;
  std::string& reason = snapshot.state_reason;
  reason += (reason.empty() ? "" : "; ") + kafka::no_such_topics(missing).to_string() +
            "; it is read, within about a minute, when it is there";
}

void Flow::explain_waiting_records(std::span<const ingest::AssignedPartition> assigned,
                                   PipelineSnapshot& snapshot) {
  std::size_t count = 0;
  std::string first;
  for (const ingest::AssignedPartition& partition : assigned) {
    if (!partition.chain || !partition.chain->waits()) continue;
    if (count++ == 0) first = partition.chain->waiting_reason();
  }
  if (count == 0) return;
  snapshot.state_reason += std::format("{}{} of {} partitions {} for a record: {}",
                                       snapshot.state_reason.empty() ? "" : "; ", count,
                                       assigned.size(), count == 1 ? "waits" : "wait", first);
}

// Whose tables are not there, or do not fit.
void Flow::explain_waiting_topics(PipelineSnapshot& snapshot) {
  constexpr std::size_t kMostNamed = 5;
  std::set<std::string> topics;
  std::string names;
  for (const PartitionStatus& partition : snapshot.partitions) {
    if (!partition.waiting_reason.starts_with(kWaitsForTable)) continue;
    if (!topics.insert(partition.topic).second || topics.size() > kMostNamed) continue;
    names += (names.empty() ? "" : ", ") + partition.topic;
  }
  if (topics.empty()) return;
  std::string& reason = snapshot.state_reason;
  reason +=
      std::format("{}{} wait{} for a table ({}{}); the partitions say why",
                  reason.empty() ? "" : "; ", text::counted(topics.size(), "topic"),
                  topics.size() == 1 ? "s" : "", names, topics.size() > kMostNamed ? ", …" : "");
}

void Flow::explain_standstills(std::span<const ingest::AssignedPartition> assigned, SteadyTime now,
                               PipelineSnapshot& snapshot) {
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const ingest::AssignedPartition& partition = assigned[i];
    PartitionStatus& status = snapshot.partitions[i];
    if (!partition.chain || !status.waiting_reason.empty() || !status.blocked_reason.empty()) {
      continue;
    }
    const Chain& chain = *partition.chain;
    PartitionMotion motion{.taken = partition.position,
                           .log_end = partition.high_watermark,
                           .in_flight_records = chain.records_in_flight(),
                           .in_flight_since = chain.in_flight_since(),
                           .unread_since = partition.unread_since};
    // After what is in flight: what was finished in between has moved the position.
    motion.committed = chain.committed();
    motion.committed_at = chain.committed_at();
    status.waiting_reason = standstill(motion, now);
  }
}

}  // namespace penstock::flow
