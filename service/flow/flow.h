// Flow: a running pipeline; every stage, built and connected, stopped in reverse.
//
//   consumer ─▶ workers ─▶ sequencer ─▶ lanes ─▶ PostgreSQL
//
// Place: app/ makes one per pipeline when its plan is there. This is where stages meet: none of
// them knows another. Each has the next one's sink (core/stages.h); what they have to say otherwise
// comes back here as ChainEvents. What holds a pipeline back and what its state is: health.h. What
// people see of its work: observer.h.
// Threads: start() and close() from one thread; everything else from any. ChainEvents say on which
// stage's thread they come. Ownership: engine and tracer outlive it.
// Failure: what stages cannot solve by themselves ends up in the snapshot's state, state_reason and
// last_error; nothing here throws after start().
// Stop: close() drains within the spec's drain_timeout and leaves the group; abandon() may be
// called while it does, from another thread, and makes it return soon. Nothing runs afterwards.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/workers.h"
#include "core/claim.h"
#include "core/pipeline_status.h"
#include "core/stages.h"
#include "dead_letters/copier.h"
#include "flow/engine.h"
#include "flow/health.h"
#include "flow/observer.h"
#include "flow/plan_book.h"
#include "flow/replanner.h"
#include "ingest/consumer.h"
#include "penstock/v1/pipeline.pb.h"
#include "plan/compiled_plan.h"
#include "sequence/sequencer.h"
#include "telemetry/tracing.h"
#include "write/outlet.h"
#include "write/writer.h"

namespace penstock::flow {

// Where a flow's rows end and its claims are kept: PostgreSQL, or what a test puts there.
struct Destination {
  std::unique_ptr<ClaimStore> claims;
  std::function<std::unique_ptr<write::Outlet>(write::WriterOptions, ChainEvents&)> attach;
  MakePlan make_plan = {};            // for when a table has changed; null: the plan stays
  postgres::Pool* letters = nullptr;  // to where dead letters are; null: they are not copied
};
// The database of the spec, which the engine's pipelines share.
[[nodiscard]] Destination postgres_destination(const v1::PipelineSpec& spec, Engine& engine);

class Flow final : public ChainEvents {
 public:
  // `plans` are made from `spec`.
  Flow(v1::PipelineSpec spec, std::unique_ptr<PlanBook> plans, Engine& engine,
       telemetry::Tracer& tracer, Destination destination);
  ~Flow() override;

  [[nodiscard]] Result<void> start();
  void close();
  void abandon();

  void pause(std::string_view reason);
  // Goes on after a pause, and tries at once what waits to be tried again. `accept_rejects`: of the
  // partitions that it has now, all that is rejected becomes dead letters, however much it is.
  void resume(bool accept_rejects);
  // Stops fetching and waits until what was polled is committed. Stays paused.
  [[nodiscard]] Result<void> drain(std::chrono::milliseconds timeout);

  [[nodiscard]] PipelineSnapshot snapshot() const;
  // Why it has stopped for good: only another process helps.
  [[nodiscard]] std::optional<Error> fatal() const { return consumer_->fatal(); }

 private:
  // ingest's thread
  void claimed(const std::shared_ptr<Chain>& chain) override;
  void ended(const std::shared_ptr<Chain>& chain) override;
  void hurried(std::span<const std::shared_ptr<Chain>> chains) override;
  void mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                const std::string& error) override;
  // a worker's thread
  void broken(const std::shared_ptr<Chain>& chain, const Error& error) override;
  // a lane's thread
  void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                 const CommitStats& stats) override;
  void fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) override;
  void too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) override;
  void put_off(const std::shared_ptr<Chain>& chain) override;
  void doubted(const std::shared_ptr<const Plan>& plan) override;
  void stalled(std::uint16_t lane, const std::optional<Stall>& stall) override;
  // a job's thread
  void replanned(const PlanPtr& old, const Result<PlanPtr>& made);

  // Whose dead letters are ours to copy.
  [[nodiscard]] std::vector<dead_letters::SourcePartition> held_partitions() const;
  [[nodiscard]] bool wait_flushed(SteadyTime deadline) const;
  // Whether lanes may wait for fuller batches of what is in flight.
  void hurry(bool hurried);
  void fill_partitions(std::span<const ingest::AssignedPartition> assigned,
                       PipelineSnapshot& snapshot) const;
  void explain_missing_topics(PipelineSnapshot& snapshot) const;
  static void explain_waiting_records(std::span<const ingest::AssignedPartition> assigned,
                                      PipelineSnapshot& snapshot);
  static void explain_waiting_topics(PipelineSnapshot& snapshot);
  static void explain_standstills(std::span<const ingest::AssignedPartition> assigned,
                                  SteadyTime now, PipelineSnapshot& snapshot);

  const v1::PipelineSpec spec_;
  const std::unique_ptr<PlanBook> plans_;  // what is claimed under
  Engine& engine_;

  InFlight in_flight_;
  Health health_;
  Observer observer_;
  const std::unique_ptr<ClaimStore> claims_;

  // Each is given the next one's sink, so that they are built against the flow and destroyed with
  // it: first no more input, last the connection.
  std::unique_ptr<write::Outlet> writer_;
  std::unique_ptr<sequence::Sequencer> sequencer_;
  std::unique_ptr<compute::WorkQueue> work_;
  std::unique_ptr<ingest::Consumer> consumer_;
  std::unique_ptr<Replanner> replanner_;
  std::unique_ptr<dead_letters::Copier> copier_;  // null: dead letters are not copied

  std::atomic<bool> abandoned_{false};
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace penstock::flow
