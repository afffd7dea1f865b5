// What the stages tell a pipeline while records flow: claims and batches, commits, fences, outages.
#include <algorithm>
#include <chrono>
#include <utility>

#include "core/log.h"
#include "flow/flow.h"
#include "flow/stage_options.h"

namespace penstock::flow {

// ---- ingest's thread ---------------------------------------------------------------------------

void Flow::on_claimed(PartitionId partition, Epoch epoch, Offset next) {
  lane_of(partition).begin(partition, epoch, next);
  const MutexLock lock(mutex_);
  progress_[partition] = {epoch, next, system_clock().steady_now()};
  sequencer_->start_chain(partition, epoch, next);
}

void Flow::on_batch(std::unique_ptr<RecordBatch> batch) {
  in_flight_.add(batch->partition(), static_cast<std::int64_t>(batch->size()),
                 batch->trace.poll_begin);
  workers_->submit(std::move(batch));
}

void Flow::drain_partitions(std::span<const PartitionId> partitions, SteadyTime deadline) {
  {
    // With the database away nothing will be committed in time, and the group should not wait.
    const MutexLock lock(mutex_);
    if (!lanes_down_.empty()) return;
  }
  if (!in_flight_.wait_empty(partitions, deadline)) {
    log(LogLevel::warning, "revoke_drain_incomplete", {{"pipeline", spec_.name()}});
  }
}

void Flow::end_partitions(std::span<const PartitionId> partitions) {
  for (const PartitionId partition : partitions) {
    sequencer_->end_chain(partition);
    Epoch epoch = Epoch::none;
    {
      const MutexLock lock(mutex_);
      epoch = progress_[partition].epoch;
    }
    lane_of(partition).forget(partition, epoch);
  }
}

void Flow::forget_partitions(std::span<const PartitionId> partitions) {
  const MutexLock lock(mutex_);
  for (const PartitionId partition : partitions) progress_.erase(partition);
}

void Flow::release_claims(std::span<const PartitionId> partitions) {
  std::vector<offsets::Claimed> claimed;
  {
    const MutexLock lock(mutex_);
    for (const PartitionId partition : partitions) {
      claimed.push_back(
          {partition, spec_.source().topics(partition.topic), progress_[partition].epoch});
    }
  }
  forget_partitions(partitions);
  // Only for people: the next claim works without it.
  const Result<void> released = claims_.release(claimed);
  if (!released) {
    log(LogLevel::warning, "release_failed",
        {{"pipeline", spec_.name()}, {"error", released.error().to_string()}});
  }
}

void Flow::on_mirrored(PartitionId partition, Offset offset, SteadyTime begin, SteadyTime end,
                       const std::string& error) {
  if (!tracer_.enabled()) return;
  TraceLink batch;
  {
    const MutexLock lock(mutex_);
    const auto found = progress_.find(partition);
    if (found != progress_.end()) batch = found->second.last_batch;
  }
  tracer_.record_mirror(batch, {.target = trace_targets_[partition.topic],
                                .partition = partition.partition,
                                .offset = offset,
                                .begin = begin,
                                .end = end,
                                .error = error});
}

// ---- a worker's thread -------------------------------------------------------------------------

WorkerPool::Worker Flow::make_worker() {
  auto processor = std::make_shared<compute::BatchProcessor<formats::JsonReader>>(
      binding_.projection, formats::JsonReader(json_options(spec_), fields_));
  return [this, processor](WorkerPool::Task&& batch) { process(*processor, std::move(batch)); };
}

void Flow::process(compute::BatchProcessor<formats::JsonReader>& processor,
                   std::unique_ptr<RecordBatch> batch) {
  const PartitionId partition = batch->partition();
  const Epoch epoch = batch->epoch();
  const auto records = static_cast<std::int64_t>(batch->size());
  const std::size_t bytes = batch->footprint_bytes();
  const SteadyTime polled = batch->trace.poll_begin;
  batch->trace.process_begin = system_clock().steady_now();
  queue_latency_.record(std::chrono::duration_cast<std::chrono::microseconds>(
      batch->trace.process_begin - batch->trace.poll_end));
  std::unique_ptr<RowBatch> rows;
  try {
    rows = processor.process(std::move(batch));
  } catch (...) {
    // Out of memory for the batch itself. Nothing is lost: the partition is read again.
    read_budget_.release(bytes);
    in_flight_.remove(partition, records, polled);
    consumer_->reclaim(partition, epoch, false);
    throw;
  }
  BatchTrace& trace = rows->source->trace;
  trace.process_end = system_clock().steady_now();
  process_latency_.record(std::chrono::duration_cast<std::chrono::microseconds>(
      trace.process_end - trace.process_begin));
  rows->charged_bytes = rows->footprint_bytes();
  write_budget_.charge(rows->charged_bytes);
  sequencer_->complete(std::move(rows));
}

// ---- a lane's thread ---------------------------------------------------------------------------

void Flow::on_committed(std::span<std::unique_ptr<RowBatch>> batches,
                        const write::CommitStats& stats) {
  rows_committed_.add(stats.rows);
  dead_letters_committed_.add(stats.dead_letters);
  transactions_committed_.add();
  if (stats.by_copy) transactions_by_copy_.add();
  rejects_by_stage_[static_cast<std::size_t>(Stage::write)].add(stats.refused_rows);
  write_latency_.record(
      std::chrono::duration_cast<std::chrono::microseconds>(stats.end - stats.begin));

  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  system_clock().system_now().time_since_epoch())
                                  .count();
  LatencyHistogram::Snapshot latencies;
  std::vector<std::pair<PartitionId, Offset>> positions;
  std::vector<TraceLink> links;
  for (const std::unique_ptr<RowBatch>& batch : batches) {
    const RecordBatch& source = *batch->source;
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (source.timestamp_ms(i) < 0) continue;
      const std::int64_t us = std::max<std::int64_t>(0, now_ms - source.timestamp_ms(i)) * 1000;
      ++latencies.counts[LatencyHistogram::bucket_of(us)];
      latencies.sum_us += static_cast<std::uint64_t>(us);
    }
    records_filtered_.add(batch->filtered);
    for (const Reject& reject : batch->rejects) {
      if (reject.stage != Stage::write) {
        rejects_by_stage_[static_cast<std::size_t>(reject.stage)].add();
      }
    }
    positions.emplace_back(batch->partition(), batch->range().to);
    log_rejects(*batch);
    links.push_back(tracer_.enabled() ? trace(*batch, stats) : TraceLink{});
  }
  end_to_end_latency_.add(latencies);
  {
    const MutexLock lock(mutex_);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto found = progress_.find(batches[i]->partition());
      if (found != progress_.end() && found->second.epoch == batches[i]->epoch()) {
        found->second.committed = batches[i]->range().to;
        found->second.committed_at = stats.end;
        found->second.last_batch = links[i];
      }
    }
  }
  consumer_->mirror(positions);
  for (const std::unique_ptr<RowBatch>& batch : batches) finish(*batch);
}

void Flow::log_rejects(const RowBatch& batch) const {
  if (batch.rejects.empty()) return;
  const Reject& first = batch.rejects.front();
  log(LogLevel::warning, "records_rejected",
      {{"pipeline", spec_.name()},
       {"topic", spec_.source().topics(batch.partition().topic)},
       {"partition", batch.partition().partition},
       {"offset", batch.source->record(first.record).offset},
       {"stage", to_string(first.stage)},
       {"reason", first.reason},
       {"rejected", batch.rejects.size()}});
}

TraceLink Flow::trace(const RowBatch& batch, const write::CommitStats& stats) {
  return tracer_.record_batch({.target = trace_targets_[batch.partition().topic],
                               .partition = batch.partition().partition,
                               .epoch = batch.epoch(),
                               .range = batch.range(),
                               .records = static_cast<std::int64_t>(batch.source->size()),
                               .bytes = static_cast<std::int64_t>(batch.source->used_bytes()),
                               .rows = static_cast<std::int64_t>(batch.row_count()),
                               .dead_letters = static_cast<std::int64_t>(batch.rejects.size()),
                               .by_copy = stats.by_copy,
                               .transaction_rows = static_cast<std::int64_t>(stats.rows),
                               .trace = batch.source->trace});
}

void Flow::on_fenced(PartitionId partition, Epoch mine, std::optional<Epoch> found) {
  {
    // Under the lock, so that a chain that was claimed meanwhile is not ended in its place.
    const MutexLock lock(mutex_);
    const auto current = progress_.find(partition);
    if (current == progress_.end() || current->second.epoch != mine) return;
    sequencer_->end_chain(partition);
  }
  log(LogLevel::warning, "fenced",
      {{"pipeline", spec_.name()},
       {"topic", spec_.source().topics(partition.topic)},
       {"partition", partition.partition},
       {"epoch", value_of(mine)},
       {"found_epoch", value_of(found.value_or(Epoch::none))}});
  // Less, or nothing at all: nobody took it, but the database went back to before our claim.
  consumer_->reclaim(partition, mine, found.has_value() && *found > mine);
}

void Flow::on_availability(int lane, bool available, const Error& error) {
  const MutexLock lock(mutex_);
  if (available) {
    lanes_down_.erase(lane);
    if (!lanes_down_.empty()) return;
    outage_.clear();
    consumer_->resume(ingest::PauseReason::breaker);
    log(LogLevel::info, "database_back", {{"pipeline", spec_.name()}});
  } else {
    if (lanes_down_.empty()) {
      log(LogLevel::error, "database_away",
          {{"pipeline", spec_.name()}, {"error", error.to_string()}});
    }
    lanes_down_.insert(lane);
    outage_ = error.to_string();
    last_error_ = outage_;
    last_error_at_ = system_clock().system_now();
    consumer_->pause(ingest::PauseReason::breaker);
  }
}

void Flow::on_configuration_error(const Error& error) {
  const MutexLock lock(mutex_);
  configuration_error_ = error.to_string();
  last_error_ = configuration_error_;
  last_error_at_ = system_clock().system_now();
  consumer_->pause(ingest::PauseReason::configuration);
  log(LogLevel::error, "paused_by_configuration_error",
      {{"pipeline", spec_.name()}, {"error", configuration_error_}});
}

}  // namespace penstock::flow
