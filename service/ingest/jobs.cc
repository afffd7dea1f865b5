#include "ingest/jobs.h"

#include <utility>
#include <vector>

#include "core/mutex.h"

namespace penstock::ingest {

struct Jobs::State {
  explicit State(std::function<void()> wake_poller) : wake(std::move(wake_poller)) {}

  void post(Call call) EXCLUDES(mutex) {
    const MutexLock lock(mutex);
    if (closed) return;
    posted.push_back(std::move(call));
    wake();
  }

  bool enter(const std::function<void()>& call) EXCLUDES(mutex) {
    {
      const MutexLock lock(mutex);
      if (closed) return false;
      ++inside;
    }
    struct Leave {
      State& state;
      ~Leave() {
        const MutexLock lock(state.mutex);
        --state.inside;
        state.changed.notify_all();
      }
    } const leave{*this};
    call();
    return true;
  }

  std::stop_source asking;
  std::stop_source saying;
  mutable Mutex mutex;
  CondVar changed;
  const std::function<void()> wake;  // under the mutex, while not closed
  std::vector<Call> posted GUARDED_BY(mutex);
  int jobs GUARDED_BY(mutex) = 0;
  int inside GUARDED_BY(mutex) = 0;
  bool closed GUARDED_BY(mutex) = false;
};

Jobs::Jobs(Executor& executor, std::function<void()> wake)
    : executor_(executor), state_(std::make_shared<State>(std::move(wake))) {}

Jobs::~Jobs() { wait_outside(); }

void Jobs::start(Kind kind, Executor::Job job) {
  // Counted until it is destroyed, whether it ran or not.
  struct Counted {
    explicit Counted(std::shared_ptr<State> counting) : state(std::move(counting)) {
      const MutexLock lock(state->mutex);
      ++state->jobs;
    }
    ~Counted() {
      const MutexLock lock(state->mutex);
      --state->jobs;
      if (!state->closed) state->wake();
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    const std::shared_ptr<State> state;
  };
  // In this order: the job is destroyed before it is counted off.
  auto counted = std::make_unique<Counted>(state_);
  auto own = std::make_unique<Executor::Job>(std::move(job));
  executor_.submit([kind, counted = std::move(counted),
                    own = std::move(own)](const std::stop_token& all) mutable {
    std::stop_source& source =
        kind == Kind::asking ? counted->state->asking : counted->state->saying;
    const std::stop_callback together(all, [&source] { source.request_stop(); });
    (*own)(source.get_token());
    own.reset();
  });
}

void Jobs::post(Call call) { state_->post(std::move(call)); }

std::function<void(Jobs::Call)> Jobs::poster() const {
  return [state = state_](Call call) { state->post(std::move(call)); };
}

std::function<bool(const std::function<void()>& call)> Jobs::entrance() const {
  return [state = state_](const std::function<void()>& call) { return state->enter(call); };
}

void Jobs::serve() {
  std::vector<Call> calls;
  {
    const MutexLock lock(state_->mutex);
    calls.swap(state_->posted);
  }
  for (Call& call : calls) call();
}

void Jobs::cancel(Kind kind) {
  (kind == Kind::asking ? state_->asking : state_->saying).request_stop();
}

bool Jobs::idle() const {
  const MutexLock lock(state_->mutex);
  return state_->jobs == 0;
}

void Jobs::wait_outside() {
  std::vector<Call> dropped;
  const MutexLock lock(state_->mutex);
  state_->closed = true;
  dropped.swap(state_->posted);
  while (state_->inside > 0) state_->changed.wait(state_->mutex);
}

}  // namespace penstock::ingest
