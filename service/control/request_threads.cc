#include "control/request_threads.h"

#include <utility>

namespace penstock::control {
namespace {

thread_local bool runs_in_reserve = false;

}  // namespace

RequestThreads::RequestThreads(const Options& options)
    : usual_{.limit = options.threads + options.waiting},
      reserve_{.limit = options.reserve_threads + options.waiting} {
  threads_.reserve(options.threads + options.reserve_threads);
  for (std::size_t i = 0; i < options.threads; ++i) {
    threads_.emplace_back("http-answer", [this] { run(false); });
  }
  for (std::size_t i = 0; i < options.reserve_threads; ++i) {
    threads_.emplace_back("http-reserve", [this] { run(true); });
  }
}

RequestThreads::~RequestThreads() { stop(); }

bool RequestThreads::submit(std::function<void()> task) {
  const MutexLock lock(mutex_);
  if (stopping_) return false;
  for (const bool reserve : {false, true}) {
    Share& tasks = share(reserve);
    if (tasks.running + tasks.waiting.size() >= tasks.limit) continue;
    tasks.waiting.push_back(std::move(task));
    changed_.notify_all();
    return true;
  }
  return false;
}

void RequestThreads::run(bool reserve) {
  runs_in_reserve = reserve;
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      Share& tasks = share(reserve);
      while (tasks.waiting.empty() && !stopping_) changed_.wait(mutex_);
      if (tasks.waiting.empty()) return;
      task = std::move(tasks.waiting.front());
      tasks.waiting.pop_front();
      ++tasks.running;
    }
    task();
    const MutexLock lock(mutex_);
    --share(reserve).running;
  }
}

void RequestThreads::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (Thread& thread : threads_) thread.join();
}

bool RequestThreads::in_reserve() { return runs_in_reserve; }

}  // namespace penstock::control
