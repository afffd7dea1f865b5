// What hands batches from thread to thread: the workers' queue, and how a lane is woken.
//
// A batch of orders has about 2,700 records.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "concurrency/mutex.h"
#include "concurrency/worker_pool.h"
#include "core/clock.h"
#include "postgres/wakeup.h"
#include "stages/stage_workload.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kRecords = 2'700;

// One worker that hands every task back.
class Pool {
 public:
  Pool()
      : pool_({.name = "bench", .min_threads = 1, .max_threads = 1},
              {.make_worker =
                   [this] {
                     return [this](WorkerPool::Task&& task) {
                       returned_.store(task.release(), std::memory_order_release);
                       done_.fetch_add(1, std::memory_order_release);
                       done_.notify_one();
                     };
                   },
               .on_task_failure = {},
               .on_abandoned = {}}) {
    pool_.start();
  }
  ~Pool() { delete returned_.load(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void submit(WorkerPool::Task task) { pool_.submit(std::move(task)); }
  [[nodiscard]] std::int64_t done() const { return done_.load(std::memory_order_acquire); }
  void wait_for(std::int64_t tasks) const {
    for (std::int64_t seen = done(); seen < tasks; seen = done()) {
      done_.wait(seen, std::memory_order_acquire);
    }
  }
  WorkerPool::Task take_back() { return WorkerPool::Task(returned_.exchange(nullptr)); }

 private:
  std::atomic<RecordBatch*> returned_{nullptr};
  std::atomic<std::int64_t> done_{0};
  WorkerPool pool_;  // last: its thread uses the others
};

WorkerPool::Task make_task() {
  return std::make_unique<RecordBatch>(PartitionId{}, Epoch{1}, 0, 64);
}

void count_batches(benchmark::State& state) {
  count_each(state, "batch", 1);
  count_each(state, "record", kRecords);
}

// The worker sleeps until the batch comes, and its answer wakes us: two hand-overs.
void to_a_sleeping_worker_and_back(benchmark::State& state) {
  Pool pool;
  WorkerPool::Task task = make_task();
  std::int64_t submitted = 0;
  for (auto step : state) {
    pool.submit(std::move(task));
    pool.wait_for(++submitted);
    task = pool.take_back();
  }
  count_batches(state);
}

// Batches wait: nobody sleeps, nobody is woken.
void to_a_busy_worker(benchmark::State& state) {
  constexpr std::int64_t kMostWaiting = 256;
  std::atomic<std::int64_t> done{0};
  WorkerPool pool({.name = "bench", .min_threads = 1, .max_threads = 1},
                  {.make_worker =
                       [&done] {
                         return [&done](WorkerPool::Task&&) {
                           done.fetch_add(1, std::memory_order_relaxed);
                         };
                       },
                   .on_task_failure = {},
                   .on_abandoned = {}});
  pool.start();
  std::int64_t submitted = 0;
  for (auto step : state) {
    pool.submit(nullptr);
    ++submitted;
    while (submitted - done.load(std::memory_order_relaxed) > kMostWaiting) {
      std::this_thread::yield();
    }
  }
  pool.close();
  count_batches(state);
}

// A lane's thread is woken, and wakes us as the lane's own end would.
void wake_a_lane_and_back(benchmark::State& state) {
  postgres::Wakeup lane(system_clock());
  postgres::Wakeup us(system_clock());
  std::thread thread([&] {
    while (!lane.stopped()) {
      lane.wait(-1, 0, system_clock().steady_now() + 1s);
      us.wake();
    }
  });
  for (auto step : state) {
    lane.wake();
    us.wait(-1, 0, system_clock().steady_now() + 1s);
  }
  lane.stop();
  thread.join();
  count_batches(state);
}

// The floor: a mutex that nobody holds, taken by both sides.
void two_free_locks(benchmark::State& state) {
  Mutex mutex;
  WorkerPool::Task here = make_task();
  WorkerPool::Task there;
  for (auto step : state) {
    {
      const MutexLock lock(mutex);
      there = std::move(here);
      benchmark::ClobberMemory();
    }
    const MutexLock lock(mutex);
    here = std::move(there);
    benchmark::ClobberMemory();
  }
  count_batches(state);
}

// The CPU time of both threads.
BENCHMARK(to_a_busy_worker)->Name("queue/to_a_busy_worker")->MeasureProcessCPUTime();
BENCHMARK(to_a_sleeping_worker_and_back)
    ->Name("queue/to_a_sleeping_worker_and_back")
    ->MeasureProcessCPUTime();
BENCHMARK(wake_a_lane_and_back)->Name("queue/wake_a_lane_and_back")->MeasureProcessCPUTime();
BENCHMARK(two_free_locks)->Name("floor/two_free_locks");

}  // namespace
}  // namespace penstock::bench
