#include "flow/flow.h"

#include <unistd.h>

#include <algorithm>
#include <format>
#include <thread>
#include <utility>

#include "core/log.h"
#include "flow/stage_options.h"

namespace penstock::flow {
namespace {

std::string owner_name() {
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return std::format("{}/{}", host, getpid());
}

}  // namespace

// The flow, from Kafka to PostgreSQL. Each stage hands what it made to the next one's single entry.
Flow::Flow(v1::PipelineSpec spec, plan::Binding binding, telemetry::Tracer& tracer)
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

Flow::~Flow() {
  if (!stopped_) {
    abandon();
    close();
  }
}

Result<void> Flow::start() {
  for (const auto& lane : lanes_) lane->start();
  workers_->start();
  return consumer_->start();
}

void Flow::close() {
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

void Flow::abandon() { in_flight_.give_up(); }

ingest::ConsumerHooks Flow::consumer_hooks() {
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

write::LaneHooks Flow::lane_hooks(int lane) {
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

write::Lane& Flow::lane_of(PartitionId partition) {
  const auto number = static_cast<std::size_t>(partition.partition) + partition.topic;
  return *lanes_[number % lanes_.size()];
}

void Flow::finish(const RowBatch& batch) {
  read_budget_.release(batch.source->footprint_bytes());
  write_budget_.release(batch.charged_bytes);
  in_flight_.remove(batch.partition(), static_cast<std::int64_t>(batch.source->size()),
                    batch.source->trace.poll_begin);
}

void Flow::remember_error(std::string message) {
  log(LogLevel::error, "pipeline_error", {{"pipeline", spec_.name()}, {"error", message}});
  const MutexLock lock(mutex_);
  last_error_ = std::move(message);
  last_error_at_ = system_clock().system_now();
}

void Flow::pause(std::string_view reason) {
  const MutexLock lock(mutex_);
  if (paused_by_user_ && pause_reason_ == reason) return;
  paused_by_user_ = true;
  pause_reason_ = reason;
  consumer_->pause(ingest::PauseReason::user);
  log(LogLevel::info, "paused", {{"pipeline", spec_.name()}, {"reason", reason}});
}

void Flow::resume() {
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

Result<void> Flow::drain(std::chrono::milliseconds timeout) {
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

}  // namespace penstock::flow
