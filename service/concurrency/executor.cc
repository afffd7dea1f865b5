#include "concurrency/executor.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <list>
#include <system_error>
#include <utility>

#include "concurrency/thread.h"
#include "core/log.h"
#include "core/mutex.h"

namespace penstock {

struct Executor::State {
  struct Worker {
    bool permanent = false;
    bool ended = false;  // under the mutex: nothing is left to do but to join it
    std::unique_ptr<Thread> thread;
  };

  explicit State(Options executor_options) : options(std::move(executor_options)) {}

  void work(Worker& worker) EXCLUDES(mutex);
  void run(Job& job) const;
  void add_thread(bool permanent) REQUIRES(mutex);
  void join_ended() EXCLUDES(mutex);

  const Options options;
  std::stop_source stop;
  mutable Mutex mutex;
  CondVar changed;
  std::deque<Job> queue GUARDED_BY(mutex);
  bool ending GUARDED_BY(mutex) = false;
  unsigned running GUARDED_BY(mutex) = 0;  // threads that have not ended
  unsigned waiting GUARDED_BY(mutex) = 0;  // of these, without a job
  unsigned made GUARDED_BY(mutex) = 0;
  std::list<Worker> workers GUARDED_BY(mutex);
};

Executor::Executor(Options options) : state_(std::make_unique<State>(std::move(options))) {
  const MutexLock lock(state_->mutex);
  state_->add_thread(/*permanent=*/true);
}

Executor::~Executor() {
  state_->stop.request_stop();
  std::deque<Job> dropped;
  std::list<State::Worker> workers;
  {
    const MutexLock lock(state_->mutex);
    state_->ending = true;
    dropped.swap(state_->queue);
    workers.swap(state_->workers);
    state_->changed.notify_all();
  }
  dropped.clear();
  workers.clear();  // joins
}

void Executor::submit(Job job) {
  state_->join_ended();
  const MutexLock lock(state_->mutex);
  if (state_->ending) return;
  state_->queue.push_back(std::move(job));
  if (state_->queue.size() > state_->waiting &&
      state_->running < std::max(state_->options.max_threads, 1U)) {
    try {
      state_->add_thread(/*permanent=*/false);
    } catch (const std::system_error& error) {
      log(LogLevel::warning, "thread_not_made",
          {{"name", state_->options.name}, {"error", error.what()}});
    }
  }
  state_->changed.notify_one();
}

void Executor::State::add_thread(bool permanent) {
  Worker& worker = workers.emplace_back();
  worker.permanent = permanent;
  try {
    worker.thread = std::make_unique<Thread>(options.name + "/" + std::to_string(made),
                                             [this, &worker] { work(worker); });
  } catch (...) {
    workers.pop_back();
    throw;
  }
  ++made;
  ++running;
}

void Executor::State::join_ended() {
  std::list<Worker> done;
  const MutexLock lock(mutex);
  for (auto worker = workers.begin(); worker != workers.end();) {
    const auto next = std::next(worker);
    if (worker->ended) done.splice(done.end(), workers, worker);
    worker = next;
  }
}

void Executor::State::work(Worker& worker) {
  while (true) {
    Job job;
    {
      const MutexLock lock(mutex);
      const auto deadline = std::chrono::steady_clock::now() + options.idle_timeout;
      ++waiting;
      bool late = false;
      while (queue.empty() && !ending && !late) {
        if (worker.permanent) {
          changed.wait(mutex);
        } else {
          late = !changed.wait_until(mutex, deadline);
        }
      }
      --waiting;
      if (ending || queue.empty()) {
        --running;
        worker.ended = true;
        return;
      }
      job = std::move(queue.front());
      queue.pop_front();
    }
    run(job);
  }
}

void Executor::State::run(Job& job) const {
  std::string message;
  try {
    job(stop.get_token());
    return;
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "unknown exception";
  }
  log(LogLevel::error, "job_failed", {{"name", options.name}, {"error", message}});
}

unsigned Executor::threads() const {
  const MutexLock lock(state_->mutex);
  return state_->running;
}

std::size_t Executor::queued() const {
  const MutexLock lock(state_->mutex);
  return state_->queue.size();
}

}  // namespace penstock
