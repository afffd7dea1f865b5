#include "concurrency/worker_pool.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "core/log.h"

namespace penstock {

int ScalePolicy::sample(double utilisation, bool work_waiting) {
  hot_ = utilisation > grow_above_ && work_waiting ? hot_ + 1 : 0;
  cold_ = utilisation < shrink_below_ && !work_waiting ? cold_ + 1 : 0;
  if (hot_ >= kGrowSamples) {
    hot_ = 0;
    return 1;
  }
  if (cold_ >= kShrinkSamples) {
    cold_ = 0;
    return -1;
  }
  return 0;
}

struct WorkerPool::State {
  State(Options pool_options, Hooks pool_hooks)
      : options(std::move(pool_options)), hooks(std::move(pool_hooks)), policy(options) {
    options.min_threads = std::max(options.min_threads, 1U);
    options.max_threads = std::max(options.max_threads, options.min_threads);
  }

  enum class Phase : std::uint8_t { created, running, closing, stopping };

  struct Slot {
    std::optional<SteadyTime> busy_since;  // while it has a task
    std::chrono::nanoseconds busy_in_sample{};
  };

  void run_worker(unsigned number) EXCLUDES(mutex);
  void run_task(const Worker& worker, Task task);
  void abandon(Task task) const;
  void supervise() EXCLUDES(mutex);
  void add_thread() REQUIRES(mutex);
  void take_sample(SteadyTime now) REQUIRES(mutex);
  void end(Phase phase) EXCLUDES(mutex);

  Options options;
  Hooks hooks;

  mutable Mutex mutex;
  CondVar work;        // a task came, or the phase changed, or a thread is to retire
  CondVar supervisor;  // the phase changed, or a thread ended
  Phase phase GUARDED_BY(mutex) = Phase::created;
  std::deque<Task> queue GUARDED_BY(mutex);
  std::map<unsigned, Slot> slots GUARDED_BY(mutex);  // of the threads that run
  std::map<unsigned, Thread> pool GUARDED_BY(mutex);
  std::vector<unsigned> ended GUARDED_BY(mutex);  // threads that wait to be joined
  unsigned retiring GUARDED_BY(mutex) = 0;        // threads that were asked to end
  SteadyTime sample_begin GUARDED_BY(mutex){};
  double utilisation GUARDED_BY(mutex) = 0;
  ScalePolicy policy GUARDED_BY(mutex);
  std::unique_ptr<Thread> supervising GUARDED_BY(mutex);

  Mutex ending;  // the second of two who end the pool waits for the first
};

void WorkerPool::State::run_task(const Worker& worker, Task task) {
  std::string message;
  try {
    worker(std::move(task));
    return;
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "unknown exception";
  }
  log(LogLevel::error, "worker_failed", {{"pool", options.name}, {"error", message}});
  if (hooks.on_task_failure) hooks.on_task_failure(std::move(task), message);
}

void WorkerPool::State::abandon(Task task) const {
  if (hooks.on_abandoned) hooks.on_abandoned(std::move(task));
}

void WorkerPool::State::run_worker(unsigned number) {
  const Worker worker = hooks.make_worker();
  while (true) {
    Task task;
    {
      const MutexLock lock(mutex);
      while (phase == Phase::running && queue.empty() && retiring == 0) work.wait(mutex);
      const bool done = phase == Phase::stopping || (phase == Phase::closing && queue.empty());
      if (done || (retiring > 0 && queue.empty())) {
        if (!done) --retiring;
        break;
      }
      if (queue.empty()) continue;
      task = std::move(queue.front());
      queue.pop_front();
      slots[number].busy_since = std::chrono::steady_clock::now();
    }
    run_task(worker, std::move(task));
    const SteadyTime now = std::chrono::steady_clock::now();
    const MutexLock lock(mutex);
    Slot& slot = slots[number];
    slot.busy_in_sample += now - std::max(*slot.busy_since, sample_begin);
    slot.busy_since.reset();
  }
  const MutexLock lock(mutex);
  slots.erase(number);
  ended.push_back(number);
  supervisor.notify_all();
}

void WorkerPool::State::add_thread() {
  unsigned number = 0;
  while (pool.contains(number)) ++number;
  slots[number] = {};
  const auto body = [this, number] {
    try {
      run_worker(number);
    } catch (...) {  // make_worker failed: the pool goes on with the others
      const MutexLock lock(mutex);
      slots.erase(number);
      ended.push_back(number);
      supervisor.notify_all();
      throw;
    }
  };
  pool.emplace(number, Thread(options.name + "/" + std::to_string(number), body));
}

void WorkerPool::State::take_sample(SteadyTime now) {
  std::chrono::nanoseconds busy{};
  for (auto& [number, slot] : slots) {
    busy += std::exchange(slot.busy_in_sample, {});
    if (slot.busy_since) busy += now - std::max(*slot.busy_since, sample_begin);
  }
  const double available =
      std::chrono::duration<double>(now - sample_begin).count() * static_cast<double>(slots.size());
  utilisation = available > 0
                    ? std::clamp(std::chrono::duration<double>(busy).count() / available, 0.0, 1.0)
                    : 0;
  sample_begin = now;
  const int change = policy.sample(utilisation, !queue.empty());
  const auto running = static_cast<unsigned>(slots.size());
  const unsigned threads = running - std::min(retiring, running);
  if ((change > 0 && threads < options.max_threads) || threads < options.min_threads) {
    if (retiring > 0) {
      --retiring;
    } else {
      add_thread();
    }
  } else if (change < 0 && threads > options.min_threads) {
    ++retiring;
    work.notify_one();
  }
}

// Samples while the pool runs, and joins threads that ended, until the last one has.
void WorkerPool::State::supervise() {
  while (true) {
    const MutexLock lock(mutex);
    const SteadyTime next = sample_begin + options.sample_interval;
    while (ended.empty() && phase == Phase::running && supervisor.wait_until(mutex, next)) {
    }
    while (ended.empty() && phase > Phase::running && !pool.empty()) supervisor.wait(mutex);
    for (const unsigned number : std::exchange(ended, {})) {
      // It has given the mutex up for the last time: this does not wait for anything.
      pool.erase(number);
    }
    if (phase > Phase::running && pool.empty()) return;
    const SteadyTime now = std::chrono::steady_clock::now();
    if (phase == Phase::running && now >= next) take_sample(now);
  }
}

void WorkerPool::State::end(Phase how) {
  const MutexLock one_at_a_time(ending);
  std::unique_ptr<Thread> supervised;
  {
    const MutexLock lock(mutex);
    if (phase < how) phase = how;
    work.notify_all();
    supervisor.notify_all();
    supervised = std::move(supervising);
  }
  supervised.reset();
  std::deque<Task> abandoned;
  {
    const MutexLock lock(mutex);
    abandoned.swap(queue);
  }
  for (Task& task : abandoned) abandon(std::move(task));
}

WorkerPool::WorkerPool(Options options, Hooks hooks)
    : state_(std::make_unique<State>(std::move(options), std::move(hooks))) {}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::start() {
  const MutexLock lock(state_->mutex);
  if (state_->phase != State::Phase::created) return;
  state_->phase = State::Phase::running;
  state_->sample_begin = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < state_->options.min_threads; ++i) state_->add_thread();
  state_->supervising = std::make_unique<Thread>(state_->options.name + "/pool",
                                                 [state = state_.get()] { state->supervise(); });
}

void WorkerPool::submit(Task task) {
  {
    const MutexLock lock(state_->mutex);
    if (state_->phase <= State::Phase::running) {
      state_->queue.push_back(std::move(task));
      state_->work.notify_one();
      return;
    }
  }
  state_->abandon(std::move(task));
}

void WorkerPool::close() { state_->end(State::Phase::closing); }

void WorkerPool::stop() { state_->end(State::Phase::stopping); }

unsigned WorkerPool::threads() const {
  const MutexLock lock(state_->mutex);
  return static_cast<unsigned>(state_->slots.size());
}

std::size_t WorkerPool::queued() const {
  const MutexLock lock(state_->mutex);
  return state_->queue.size();
}

double WorkerPool::utilisation() const {
  const MutexLock lock(state_->mutex);
  return state_->utilisation;
}

std::chrono::milliseconds WorkerPool::longest_running() const {
  const SteadyTime now = std::chrono::steady_clock::now();
  const MutexLock lock(state_->mutex);
  std::chrono::nanoseconds longest{};
  for (const auto& [number, slot] : state_->slots) {
    if (slot.busy_since)
      longest = std::max<std::chrono::nanoseconds>(longest, now - *slot.busy_since);
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest);
}

}  // namespace penstock
