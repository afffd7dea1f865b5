// Replanner: makes a pipeline's plan anew when its table may have changed.
//
// Place: the flow asks when a lane doubts the plan; a job of the Executor asks the catalog and
// compiles, and what became of it comes back by `done`, with the plan that was doubted.
// Threads: ask() from any, never blocks; one job at a time. `done` comes on a job's thread.
// Failure: the error that `done` is given; who still doubts asks again.
// Stop: close() ends the waiting for the database; no `done` is called afterwards. The job itself
// may end a moment later: what `make` uses outlives the Executor.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "concurrency/executor.h"
#include "core/error.h"
#include "core/mutex.h"
#include "flow/plan_book.h"
#include "plan/compiled_plan.h"

namespace penstock::flow {

// A plan for the tables as they are now, in place of `old`.
using MakePlan =
    std::function<Result<PlanPtr>(const plan::CompiledPlan& old, const std::stop_token& stop)>;

class Replanner {
 public:
  using Done = std::function<void(const PlanPtr& old, const Result<PlanPtr>& made)>;
  Replanner(Executor& executor, MakePlan make, Done done);
  ~Replanner();
  Replanner(const Replanner&) = delete;
  Replanner& operator=(const Replanner&) = delete;

  void ask(PlanPtr old);
  void close();

 private:
  struct State;
  Executor& executor_;
  const std::shared_ptr<State> state_;
};

}  // namespace penstock::flow
