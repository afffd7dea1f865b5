// What hands batches from thread to thread: the workers' queue, and how a lane is woken.
//
// A batch of orders has about 2,700 records.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compute/workers.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/plan.h"
#include "core/stages.h"
#include "postgres/wakeup.h"
#include "stages/stage_workload.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kRecords = 2'700;

// Makes an empty RowBatch of what it gets.
class BenchPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override {
    class Pass final : public Processor {
     public:
      using Processor::process;
      std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch, std::size_t) override {
        auto rows = std::make_unique<RowBatch>();
        rows->source = std::move(batch);
        return rows;
      }
    };
    return std::make_unique<Pass>();
  }
};

std::unique_ptr<RecordBatch> make_batch() {
  auto plan = std::make_shared<BenchPlan>("bench", std::vector<std::string>{"orders"},
                                          std::vector<Target>{});
  return std::make_unique<RecordBatch>(
      std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, std::move(plan)), 0, 64);
}

class NoEvents final : public ChainEvents {
 public:
  void claimed(const std::shared_ptr<Chain>&) override {}
  void ended(const std::shared_ptr<Chain>&) override {}
  void hurried(std::span<const std::shared_ptr<Chain>>) override {}
  void mirrored(const Chain&, Offset, SteadyTime, SteadyTime, const std::string&) override {}
  void broken(const std::shared_ptr<Chain>&, const Error&) override {}
  void committed(std::span<const std::unique_ptr<RowBatch>>, const CommitStats&) override {}
  void fenced(const std::shared_ptr<Chain>&, const FoundPosition&) override {}
  void too_many_rejects(const std::shared_ptr<Chain>&, const Error&) override {}
  void put_off(const std::shared_ptr<Chain>&) override {}
  void doubted(const std::shared_ptr<const Plan>&) override {}
  void stalled(std::uint16_t, const std::optional<Stall>&) override {}
};

// Counts what comes, and keeps the last one for the next round.
class HandBack final : public RowSink {
 public:
  ~HandBack() override { delete returned_.load(); }
  void accept(std::unique_ptr<RowBatch> batch) override {
    delete returned_.exchange(batch->source.release(), std::memory_order_acq_rel);
    done_.fetch_add(1, std::memory_order_release);
    done_.notify_one();
  }
  [[nodiscard]] std::int64_t done() const { return done_.load(std::memory_order_acquire); }
  void wait_for(std::int64_t batches) const {
    for (std::int64_t seen = done(); seen < batches; seen = done()) {
      done_.wait(seen, std::memory_order_acquire);
    }
  }
  std::unique_ptr<RecordBatch> take_back() {
    return std::unique_ptr<RecordBatch>(returned_.exchange(nullptr, std::memory_order_acq_rel));
  }

 private:
  std::atomic<RecordBatch*> returned_{nullptr};
  std::atomic<std::int64_t> done_{0};
};

// One worker and one pipeline.
struct Pool {
  Pool() { workers.start(); }
  InFlight account{std::size_t{1} << 30, std::size_t{1} << 30};
  NoEvents events;
  HandBack back;
  compute::Workers workers{compute::WorkersOptions{}};
  std::unique_ptr<compute::WorkQueue> queue = workers.attach({}, account, back, events);
};

void count_batches(benchmark::State& state) {
  count_each(state, "batch", 1);
  count_each(state, "record", kRecords);
}

// The worker sleeps until the batch comes, and its answer wakes us: two hand-overs.
void to_a_sleeping_worker_and_back(benchmark::State& state) {
  Pool pool;
  auto batch = make_batch();
  std::int64_t submitted = 0;
  for (auto step : state) {
    pool.queue->accept(std::move(batch));
    pool.back.wait_for(++submitted);
    batch = pool.back.take_back();
  }
  count_batches(state);
}

// Batches wait: nobody sleeps, nobody is woken. Making and destroying a batch is counted, too.
void to_a_busy_worker(benchmark::State& state) {
  constexpr std::int64_t kMostWaiting = 256;
  Pool pool;
  const auto chain = make_batch()->chain();
  std::int64_t submitted = 0;
  for (auto step : state) {
    pool.queue->accept(std::make_unique<RecordBatch>(chain, 0, 64));
    ++submitted;
    while (submitted - pool.back.done() > kMostWaiting) std::this_thread::yield();
  }
  pool.back.wait_for(submitted);
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
  std::unique_ptr<RecordBatch> here = make_batch();
  std::unique_ptr<RecordBatch> there;
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
