#include "flow/replanner.h"

#include <utility>

namespace penstock::flow {

struct Replanner::State {
  MakePlan make;
  Done done;
  std::stop_source stop;
  Mutex mutex;
  bool asking GUARDED_BY(mutex) = false;
  bool closed GUARDED_BY(mutex) = false;

  // Whatever becomes of the job: dropped by the Executor, too.
  struct Turn {
    explicit Turn(std::shared_ptr<State> whose) : state(std::move(whose)) {}
    ~Turn() {
      const MutexLock lock(state->mutex);
      state->asking = false;
    }
    const std::shared_ptr<State> state;
  };
};

Replanner::Replanner(Executor& executor, MakePlan make, Done done)
    : executor_(executor), state_(std::make_shared<State>()) {
  state_->make = std::move(make);
  state_->done = std::move(done);
}

Replanner::~Replanner() { close(); }

void Replanner::ask(PlanPtr old) {
  if (!state_->make) return;
  {
    const MutexLock lock(state_->mutex);
    if (state_->closed || std::exchange(state_->asking, true)) return;
  }
  executor_.submit(
      [turn = std::make_unique<State::Turn>(state_), old = std::move(old)](const std::stop_token&) {
        State& state = *turn->state;
        const Result<PlanPtr> made = state.make(*old, state.stop.get_token());
        const MutexLock lock(state.mutex);
        if (!state.closed) state.done(old, made);
      });
}

void Replanner::close() {
  state_->stop.request_stop();
  const MutexLock lock(state_->mutex);
  state_->closed = true;
}

}  // namespace penstock::flow
