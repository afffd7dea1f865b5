// A pool of worker threads over one FIFO of record batches, which grows and shrinks with its load.
//
// Place in the flow: ingest submits; a worker (parse + compute) hands its result to sequence.
// Threads: submit(), close(), stop() and the observers may be called from any thread. Every pool
// thread has a worker of its own, made by `make_worker` on that thread: its parser and its arenas
// need no locks.
// Bounds: the queue has none of its own; the byte budget in front of ingest bounds it, so that
// submit() never blocks.
// Failure: a worker that throws loses its one task to `on_task_failure`, and goes on.
// Stop: close() finishes what is queued; stop() abandons it. After either returned, no worker runs
// and none will. Further calls of start, close and stop do nothing; a closed pool stays closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/record_batch.h"

namespace penstock {

class WorkerPool {
 public:
  using Task = std::unique_ptr<RecordBatch>;
  // Called with a task that it may take. What it leaves in place when it throws goes to
  // `on_task_failure`. (A lambda with a parameter `Task` takes it at once.)
  using Worker = std::function<void(Task&&)>;

  struct Options {
    std::string name = "worker";  // threads are called name/0, name/1, …
    unsigned min_threads = 1;     // at least 1 is used
    unsigned max_threads = 1;     // at least min_threads is used
    // Above `grow_above` for two samples in a row with work waiting: one more thread; below
    // `shrink_below` for forty (10 s): one less. Growing is urgent, shrinking is only tidy.
    double grow_above = 0.8;
    double shrink_below = 0.3;
    std::chrono::milliseconds sample_interval{250};
  };

  struct Hooks {
    std::function<Worker()> make_worker;
    // On the worker's thread; `task` is null if the worker had taken it. Must not throw.
    std::function<void(Task task, const std::string& message)> on_task_failure;
    // For what stop() abandons and what is submitted after close() or stop(). Must not throw.
    std::function<void(Task task)> on_abandoned;
  };

  WorkerPool(Options options, Hooks hooks);
  ~WorkerPool();  // stop()
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void start();
  // Never blocks. Tasks that come before start() wait for it.
  void submit(Task task);
  // Ends when everything that was queued is done.
  void close();
  // Ends when the tasks that are running now are done.
  void stop();

  [[nodiscard]] unsigned threads() const;
  [[nodiscard]] std::size_t queued() const;
  // Share of the threads' time that was spent on tasks in the last sample, 0..1.
  [[nodiscard]] double utilisation() const;
  // How long the task that has been running for longest has been at it; 0 when all are idle.
  [[nodiscard]] std::chrono::milliseconds longest_running() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What the pool decides from its samples, apart so that it can be tested without threads.
class ScalePolicy {
 public:
  explicit ScalePolicy(const WorkerPool::Options& options)
      : grow_above_(options.grow_above), shrink_below_(options.shrink_below) {}

  // +1: one more thread, -1: one less, 0: as it is. Bounds are the caller's business.
  [[nodiscard]] int sample(double utilisation, bool work_waiting);

 private:
  static constexpr int kGrowSamples = 2;
  static constexpr int kShrinkSamples = 40;

  double grow_above_;
  double shrink_below_;
  int hot_ = 0;
  int cold_ = 0;
};

}  // namespace penstock
