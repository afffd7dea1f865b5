#include "app/pipeline.h"

#include <unistd.h>

#include <algorithm>
#include <format>
#include <thread>
#include <utility>

#include "app/stage_options.h"
#include "core/log.h"

namespace penstock::app {
namespace {

std::string owner_name() {
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return std::format("{}/{}", host, getpid());
}

}  // namespace

// The flow, from Kafka to PostgreSQL. Each stage hands what it made to the next one's single entry.
Pipeline::Pipeline(v1::PipelineSpec spec, Binding binding, telemetry::Tracer& tracer)
    : spec_(std::move(spec)),
      binding_(std::move(binding)),
      tracer_(tracer),
      fields_(binding_.projection.inputs()),
      read_budget_(memory_shares(spec_).read_bytes),
      write_budget_(memory_shares(spec_).write_bytes),
      claims_(
          {.conninfo = spec_.sink().postgres(), .pipeline = spec_.name(), .owner = owner_name()}) {
  // 1. ingest: one thread polls Kafka and packs records into batches of one partition.
  ingest::ConsumerOptions consumer = consumer_options(spec_);
  consumer.read_budget = &read_budget_;
  consumer.write_budget = &write_budget_;
  consumer.capture_trace_links = tracer_.enabled();
  consumer_ = std::make_unique<ingest::Consumer>(std::move(consumer), consumer_hooks());

  // 2. parse + compute: any worker takes the next batch, whatever its partition.
  workers_ = std::make_unique<WorkerPool>(
      worker_options(spec_),
      WorkerPool::Hooks{.make_worker = [this] { return make_worker(); },
                        .on_task_failure =
                            [this](WorkerPool::Task, const std::string& message) {
                              remember_error("a worker failed: " + message);
                            },
                        .on_abandoned =
                            [this](WorkerPool::Task batch) {
                              RowBatch empty;
                              empty.source = std::move(batch);
                              finish(empty);
                            }});

  // 3. sequence: back into offset order, partition by partition.
  sequencer_ = std::make_unique<sequence::Sequencer>(
      sequence::Sequencer::Hooks{.release =
                                     [this](std::unique_ptr<RowBatch> batch) {
                                       write::Lane& lane = lane_of(batch->partition());
                                       lane.push(std::move(batch));
                                     },
                                 .drop =
                                     [this](std::unique_ptr<RowBatch> batch) {
                                       batches_dropped_.add();
                                       finish(*batch);
                                     }});

  // 4. write: each lane commits everything that waits for its partitions.
  for (int i = 0; i < static_cast<int>(spec_.sink().lanes()); ++i) {
    lanes_.push_back(
        std::make_unique<write::Lane>(lane_options(spec_, binding_.table, i), lane_hooks(i)));
  }

  for (const std::string& topic : spec_.source().topics()) {
    trace_targets_.push_back(std::make_shared<telemetry::TraceTarget>(
        telemetry::TraceTarget{.pipeline = spec_.name(),
                               .topic = topic,
                               .group = spec_.source().group(),
                               .client_id = owner_name(),
                               .table = binding_.table.schema + "." + binding_.table.name,
                               .database = binding_.server.database,
                               .server_address = binding_.server.host,
                               .server_port = binding_.server.port}));
  }
}

Pipeline::~Pipeline() {
  if (!stopped_) {
    abandon();
    close();
  }
}

Result<void> Pipeline::start() {
  for (const auto& lane : lanes_) lane->start();
  workers_->start();
  return consumer_->start();
}

void Pipeline::close() {
  if (stopped_) return;
  closing_ = true;
  const SteadyTime deadline = system_clock().steady_now() + drain_timeout(spec_);
  consumer_->close();
  if (!in_flight_.wait_all_empty(deadline)) {
    log(LogLevel::warning, "drain_incomplete",
        {{"pipeline", spec_.name()}, {"batches_left", in_flight_.batches()}});
  }
  in_flight_.give_up();  // leaving the group revokes: that must not wait a second time
  consumer_->stop();
  workers_->stop();
  for (const auto& lane : lanes_) lane->stop();
  stopped_ = true;
}

void Pipeline::abandon() { in_flight_.give_up(); }

ingest::ConsumerHooks Pipeline::consumer_hooks() {
  return {
      .claim = [this](std::span<const ClaimRequest> requests) { return claims_.claim(requests); },
      .on_claimed = [this](PartitionId partition, Epoch epoch,
                           Offset next) { on_claimed(partition, epoch, next); },
      .on_batch = [this](std::unique_ptr<RecordBatch> batch) { on_batch(std::move(batch)); },
      .drain = [this](std::span<const PartitionId> partitions,
                      SteadyTime deadline) { drain_partitions(partitions, deadline); },
      .on_revoked = [this](std::span<const PartitionId> partitions) { end_partitions(partitions); },
      .on_lost =
          [this](std::span<const PartitionId> partitions) {
            end_partitions(partitions);
            forget_partitions(partitions);
          },
      .release = [this](std::span<const PartitionId> partitions) { release_claims(partitions); },
      .on_partition_blocked =
          [this](PartitionId partition, const std::string& reason) {
            remember_error(std::format("{}[{}]: {}", spec_.source().topics(partition.topic),
                                       partition.partition, reason));
          },
      .on_error = [this](const Error& error) { remember_error(error.to_string()); },
      .on_mirrored =
          [this](PartitionId partition, Offset offset, SteadyTime begin, SteadyTime end,
                 const std::string& error) { on_mirrored(partition, offset, begin, end, error); },
  };
}

write::LaneHooks Pipeline::lane_hooks(int lane) {
  return {
      .on_committed = [this](std::span<std::unique_ptr<RowBatch>> batches,
                             const write::CommitStats& stats) { on_committed(batches, stats); },
      .on_fenced = [this](PartitionId partition, Epoch mine, std::optional<Epoch> found,
                          std::optional<Offset>) { on_fenced(partition, mine, found); },
      .on_dropped =
          [this](std::unique_ptr<RowBatch> batch, write::DropReason) {
            batches_dropped_.add();
            finish(*batch);
          },
      .on_availability = [this, lane](
                             bool available,
                             const Error& error) { on_availability(lane, available, error); },
      .on_configuration_error = [this](const Error& error) { on_configuration_error(error); },
  };
}

write::Lane& Pipeline::lane_of(PartitionId partition) {
  const auto number = static_cast<std::size_t>(partition.partition) + partition.topic;
  return *lanes_[number % lanes_.size()];
}

// ---- ingest's thread ---------------------------------------------------------------------------

void Pipeline::on_claimed(PartitionId partition, Epoch epoch, Offset next) {
  const MutexLock lock(mutex_);
  progress_[partition] = {epoch, next};
  sequencer_->start_chain(partition, epoch, next);
}

void Pipeline::on_batch(std::unique_ptr<RecordBatch> batch) {
  in_flight_.add(batch->partition(), static_cast<std::int64_t>(batch->size()));
  workers_->submit(std::move(batch));
}

void Pipeline::drain_partitions(std::span<const PartitionId> partitions, SteadyTime deadline) {
  {
    // With the database away nothing will be committed in time, and the group should not wait.
    const MutexLock lock(mutex_);
    if (!lanes_down_.empty()) return;
  }
  if (!in_flight_.wait_empty(partitions, deadline)) {
    log(LogLevel::warning, "revoke_drain_incomplete", {{"pipeline", spec_.name()}});
  }
}

void Pipeline::end_partitions(std::span<const PartitionId> partitions) {
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

void Pipeline::forget_partitions(std::span<const PartitionId> partitions) {
  const MutexLock lock(mutex_);
  for (const PartitionId partition : partitions) progress_.erase(partition);
}

void Pipeline::release_claims(std::span<const PartitionId> partitions) {
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

void Pipeline::on_mirrored(PartitionId partition, Offset offset, SteadyTime begin, SteadyTime end,
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

WorkerPool::Worker Pipeline::make_worker() {
  auto processor = std::make_shared<compute::BatchProcessor<parse::JsonReader>>(
      binding_.projection, parse::JsonReader(json_options(spec_), fields_));
  return [this, processor](WorkerPool::Task&& batch) { process(*processor, std::move(batch)); };
}

void Pipeline::process(compute::BatchProcessor<parse::JsonReader>& processor,
                       std::unique_ptr<RecordBatch> batch) {
  const PartitionId partition = batch->partition();
  const Epoch epoch = batch->epoch();
  const auto records = static_cast<std::int64_t>(batch->size());
  const std::size_t bytes = batch->footprint_bytes();
  batch->trace.process_begin = system_clock().steady_now();
  queue_latency_.record(std::chrono::duration_cast<std::chrono::microseconds>(
      batch->trace.process_begin - batch->trace.poll_end));
  std::unique_ptr<RowBatch> rows;
  try {
    rows = processor.process(std::move(batch));
  } catch (...) {
    // Out of memory for the batch itself. Nothing is lost: the partition is read again.
    read_budget_.release(bytes);
    in_flight_.remove(partition, records);
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

void Pipeline::on_committed(std::span<std::unique_ptr<RowBatch>> batches,
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
        found->second.last_batch = links[i];
      }
    }
  }
  consumer_->mirror(positions);
  for (const std::unique_ptr<RowBatch>& batch : batches) finish(*batch);
}

void Pipeline::log_rejects(const RowBatch& batch) const {
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

TraceLink Pipeline::trace(const RowBatch& batch, const write::CommitStats& stats) {
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

void Pipeline::on_fenced(PartitionId partition, Epoch mine, std::optional<Epoch> found) {
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
  consumer_->reclaim(partition, mine, found != mine);
}

void Pipeline::on_availability(int lane, bool available, const Error& error) {
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

void Pipeline::on_configuration_error(const Error& error) {
  const MutexLock lock(mutex_);
  configuration_error_ = error.to_string();
  last_error_ = configuration_error_;
  last_error_at_ = system_clock().system_now();
  consumer_->pause(ingest::PauseReason::configuration);
  log(LogLevel::error, "paused_by_configuration_error",
      {{"pipeline", spec_.name()}, {"error", configuration_error_}});
}

// ---- any thread --------------------------------------------------------------------------------

void Pipeline::finish(const RowBatch& batch) {
  read_budget_.release(batch.source->footprint_bytes());
  write_budget_.release(batch.charged_bytes);
  in_flight_.remove(batch.partition(), static_cast<std::int64_t>(batch.source->size()));
}

void Pipeline::remember_error(std::string message) {
  log(LogLevel::error, "pipeline_error", {{"pipeline", spec_.name()}, {"error", message}});
  const MutexLock lock(mutex_);
  last_error_ = std::move(message);
  last_error_at_ = system_clock().system_now();
}

void Pipeline::pause(std::string_view reason) {
  const MutexLock lock(mutex_);
  if (paused_by_user_ && pause_reason_ == reason) return;
  paused_by_user_ = true;
  pause_reason_ = reason;
  consumer_->pause(ingest::PauseReason::user);
  log(LogLevel::info, "paused", {{"pipeline", spec_.name()}, {"reason", reason}});
}

void Pipeline::resume() {
  {
    const MutexLock lock(mutex_);
    paused_by_user_ = false;
    pause_reason_.clear();
    configuration_error_.clear();
    consumer_->resume(ingest::PauseReason::user);
    consumer_->resume(ingest::PauseReason::configuration);
    log(LogLevel::info, "resumed", {{"pipeline", spec_.name()}});
  }
  for (const auto& lane : lanes_) lane->retry_now();
}

Result<void> Pipeline::drain(std::chrono::milliseconds timeout) {
  using std::chrono_literals::operator""ms;
  const SteadyTime asked = system_clock().steady_now();
  draining_ = true;
  pause("drain");
  // The poll loop notices the pause when it comes round; what it then hands on counts, too.
  bool empty = false;
  while (!empty && system_clock().steady_now() < asked + timeout) {
    const bool paused = consumer_->heartbeat() > asked;
    empty = in_flight_.wait_all_empty(asked + timeout) && paused;
    if (!paused) std::this_thread::sleep_for(1ms);
  }
  draining_ = false;
  if (empty) return {};
  return fail(ErrorKind::deadline_exceeded,
              std::format("{} batches are still in flight", in_flight_.batches()),
              "draining goes on by itself; ask again, or look at the pipeline's last error");
}

}  // namespace penstock::app
