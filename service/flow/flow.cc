#include "flow/flow.h"

#include <unistd.h>

#include <algorithm>
#include <format>
#include <string>
#include <thread>
#include <utility>

#include "core/log.h"
#include "flow/stage_options.h"
#include "offsets/claims.h"

namespace penstock::flow {
namespace {

using namespace std::chrono_literals;

std::string process_name() {
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return std::format("{}/{}", host, getpid());
}

bool same_tables(const std::vector<Target>& one, const std::vector<Target>& other) {
  return std::ranges::equal(one, other, {}, &Target::table, &Target::table);
}

// A broker that is frozen must not keep us: what is committed is committed, and the group takes
// our partitions back when the session times out.
constexpr std::chrono::milliseconds kLeaveLimit = 3s;

}  // namespace

Destination postgres_destination(const v1::PipelineSpec& spec, Engine& engine) {
  Database& database = engine.database(spec.sink().postgres());
  return {.claims = std::make_unique<offsets::Claims>(
              offsets::Claims::Options{.pipeline = spec.name(), .owner = process_name()},
              database.pool),
          .attach =
              [&database](write::WriterOptions options, ChainEvents& events) {
                return database.lanes.attach(std::move(options), events);
              },
          .letters = &database.pool};
}

// The flow, from Kafka to PostgreSQL, read from the bottom up: a batch goes from the consumer to
// the workers, to the sequencer, to its lane.
Flow::Flow(v1::PipelineSpec spec, std::unique_ptr<PlanBook> plans, Engine& engine,
           telemetry::Tracer& tracer, Destination destination)
    : spec_(std::move(spec)),
      plans_(std::move(plans)),
      engine_(engine),
      in_flight_(memory_shares(spec_).read_bytes, memory_shares(spec_).write_bytes),
      health_(spec_.name()),
      observer_(*plans_, spec_.source().group(), client_id(spec_), tracer),
      claims_(std::move(destination.claims)) {
  // 4. write: the lane of a chain commits everything that waits for it: rows, dead letters, fence.
  write::WriterOptions writer = writer_options(spec_);
  writer.owner = process_name();
  writer_ = destination.attach(std::move(writer), *this);

  // 3. sequence: back into offset order, chain by chain.
  sequencer_ = std::make_unique<sequence::Sequencer>(*writer_);

  // 2. decode + compute: any worker takes the next batch, whatever its partition.
  work_ = engine.workers.attach(work_queue_options(spec_), in_flight_, *sequencer_, *this);

  // 1. ingest: polls Kafka, claims partitions, and packs records into batches of one chain.
  ingest::ConsumerOptions consumer = consumer_options(spec_);
  consumer.topics = plans_->topics();
  if (tracer.enabled()) consumer.trace_context = [&tracer] { return tracer.new_context(); };
  consumer_ =
      std::make_unique<ingest::Consumer>(std::move(consumer), *plans_, engine.pollers,
                                         engine.executor, *claims_, in_flight_, *work_, *this);

  // When the table changes, what is claimed from then on is claimed under another plan.
  replanner_ = std::make_unique<Replanner>(
      engine.executor, std::move(destination.make_plan),
      [this](const PlanPtr& old, const Result<PlanPtr>& made) { replanned(old, made); });

  // Beside all of it: what has become a dead letter is copied to a topic.
  if (!spec_.dead_letters().topic().empty() && destination.letters != nullptr) {
    copier_ = std::make_unique<dead_letters::Copier>(copier_options(spec_), *destination.letters,
                                                     [this] { return held_partitions(); });
  }
}

Flow::~Flow() {
  abandon();
  close();
}

Result<void> Flow::start() {
  started_ = true;
  if (copier_) copier_->start();
  return consumer_->start();
}

void Flow::close() {
  if (std::exchange(closed_, true)) return;
  health_.begin_close();
  // Who waits for a person will not commit anything in that time, either: it is read again.
  const SteadyTime now = system_clock().steady_now();
  const SteadyTime deadline = health_.waits_for_a_person() ? now : now + drain_timeout(spec_);
  consumer_->close();
  hurry(true);
  const bool drained = !started_ || (wait_flushed(deadline) && in_flight_.wait_empty(deadline));
  if (!drained) {
    log(LogLevel::warning, "drain_incomplete",
        {{"pipeline", spec_.name()}, {"batches_left", in_flight_.batches()}});
  }
  in_flight_.give_up();
  if (copier_) copier_->stop();
  replanner_->close();
  consumer_->stop(kLeaveLimit);
  work_->close();
  writer_->detach();
  health_.set_stopped();
}

void Flow::abandon() {
  abandoned_ = true;
  in_flight_.give_up();
}

void Flow::hurry(bool hurried) {
  for (const ingest::AssignedPartition& partition : consumer_->partitions()) {
    if (partition.chain) partition.chain->hurry(hurried);
  }
  writer_->wake();
}

std::vector<dead_letters::SourcePartition> Flow::held_partitions() const {
  std::vector<dead_letters::SourcePartition> held;
  for (const ingest::AssignedPartition& partition : consumer_->partitions()) {
    if (!partition.chain && partition.blocked_reason.empty()) continue;
    held.push_back({.topic = partition.topic, .partition = partition.id.partition});
  }
  return held;
}

// Waits until everything that was polled before the intake was held back has been handed on.
bool Flow::wait_flushed(SteadyTime deadline) const {
  const std::uint64_t ticket = consumer_->flush();
  while (!consumer_->flushed(ticket)) {
    if (abandoned_ || system_clock().steady_now() >= deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

void Flow::pause(std::string_view reason) {
  if (!health_.pause(reason)) return;
  consumer_->pause(ingest::PauseReason::user);
  log(LogLevel::info, "paused", {{"pipeline", spec_.name()}, {"reason", reason}});
}

void Flow::resume(bool accept_rejects) {
  health_.resume();
  hurry(false);
  consumer_->resume(ingest::PauseReason::user);
  consumer_->retry_rejects(accept_rejects);
  writer_->retry_now(accept_rejects);
  log(LogLevel::info, "resumed",
      {{"pipeline", spec_.name()}, {"accept_rejects", accept_rejects ? "yes" : "no"}});
}

Result<void> Flow::drain(std::chrono::milliseconds timeout) {
  const SteadyTime deadline = system_clock().steady_now() + timeout;
  health_.begin_drain();
  pause("drain");
  hurry(true);
  const bool empty = wait_flushed(deadline) && in_flight_.wait_empty(deadline);
  health_.end_drain();
  if (empty) return {};
  return fail(ErrorKind::deadline_exceeded,
              std::format("{} batches are still in flight", in_flight_.batches()),
              "draining goes on by itself; ask again, or look at the pipeline's last error");
}

// ---- What the stages tell: ingest's thread -----------------------------------------------------

void Flow::claimed(const std::shared_ptr<Chain>& chain) {
  writer_->adopt(chain);
  if (copier_) copier_->wake();
}

void Flow::ended(const std::shared_ptr<Chain>& chain) {
  sequencer_->drop_waiting(*chain);
  writer_->wake();
}

void Flow::hurried(std::span<const std::shared_ptr<Chain>>) { writer_->wake(); }

void Flow::mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                    const std::string& error) {
  observer_.mirrored(chain, offset, begin, end, error);
}

// ---- … a worker's thread -----------------------------------------------------------------------

void Flow::broken(const std::shared_ptr<Chain>& chain, const Error& error) {
  health_.set_error(error.to_string());
  sequencer_->drop_waiting(*chain);
  writer_->wake();
  consumer_->reclaim(chain, /*foreign_owner=*/false);
}

// ---- … a lane's thread -------------------------------------------------------------------------

void Flow::committed(std::span<const std::unique_ptr<RowBatch>> batches, const CommitStats& stats) {
  observer_.committed(batches, stats);
  if (copier_ && stats.dead_letters > 0) copier_->wake();
  for (const std::unique_ptr<RowBatch>& batch : batches) {
    consumer_->mirror(batch->chain(), batch->range().to);
  }
}

void Flow::fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) {
  sequencer_->drop_waiting(*chain);
  // A lower epoch, or nothing at all: the database went back to before our claim.
  const bool is_taken = found.epoch.has_value() && *found.epoch > chain->epoch && !found.is_reset;
  consumer_->reclaim(chain, is_taken);
}

void Flow::too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) {
  sequencer_->drop_waiting(*chain);
  consumer_->block_for_rejects(chain, error);
}

void Flow::put_off(const std::shared_ptr<Chain>& chain) {
  sequencer_->drop_waiting(*chain);
  consumer_->reclaim(chain, /*foreign_owner=*/false);
}

void Flow::doubted(const std::shared_ptr<const Plan>& plan) {
  if (PlanPtr current = plans_->find(plan)) return replanner_->ask(std::move(current));
  consumer_->replan(plan);  // claimed while another one was made
}

void Flow::stalled(std::uint16_t lane, const std::optional<Stall>& stall) {
  health_.set_stall(lane, stall);
  if (health_.database_unusable()) {
    consumer_->pause(ingest::PauseReason::breaker);
  } else {
    consumer_->resume(ingest::PauseReason::breaker);
  }
}

// ---- … a job's thread --------------------------------------------------------------------------

// Of a table that is what it was nothing follows: somebody else is to blame.
void Flow::replanned(const PlanPtr& old, const Result<PlanPtr>& made) {
  if (!made) {
    const ErrorKind kind = made.error().kind;
    const bool is_away = kind == ErrorKind::unavailable || kind == ErrorKind::deadline_exceeded ||
                         kind == ErrorKind::cancelled;
    if (is_away) return;
    if (!plans_->is_by_topic()) return health_.set_misfit(made.error());
    // The topics of these tables wait until they fit, and hold up nobody.
    plans_->replace(old, nullptr);
    return consumer_->replan(old);
  }
  health_.set_misfit(std::nullopt);
  if (same_tables((*made)->targets(), old->targets())) return;
  plans_->replace(old, *made);
  log(LogLevel::info, "table_read_again",
      {{"pipeline", spec_.name()}, {"plan_version", (*made)->version()}});
  consumer_->replan(old);
}

}  // namespace penstock::flow
