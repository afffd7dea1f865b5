// Workers: the threads that make rows of records, shared by all pipelines of the process.
//
// Place in the flow: ingest hands its batches to the WorkQueue of its pipeline; a worker makes a
// RowBatch of each by the plan of its chain, in any order, and hands it to sequence/.
// Threads: everything may be called from any thread. Every thread has Processors of its own, one
// per plan, made on that thread: parsers and arenas need no locks.
// Fairness: when there is more work than threads, pipelines take turns by the bytes they bring,
// weighted (WorkQueueOptions::turns); an idle pipeline costs nothing and saves up nothing.
// Bounds: queues have none of their own; the pipeline's InFlight bounds them. While its write share
// is spent, a worker takes of a pipeline only the batch that a chain is to commit next, which alone
// can make room, and a batch of few bytes that become many is worked on piece by piece: the ceiling
// holds also where rows are larger than the records they come from.
// Large batches (RecordBatch::is_large) are worked on one at a time, of all pipelines, and nothing
// that was made for one is kept: what lies outside the budgets is bounded, too.
// Failure: an exception ends the chain of that batch and is told to ChainEvents::broken(); nothing
// is lost, since the chain is claimed and read again. A thread that cannot be made is tried again.
// Stop: stop() ends when the batches that are worked on now are done; what waits stays with its
// queue, which drops it. Further calls of start and stop do nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/charge.h"
#include "core/clock.h"
#include "core/stages.h"
#include "core/stats.h"

namespace penstock::compute {

struct WorkersOptions {
  unsigned min_threads = 1;  // at least 1 is used
  unsigned max_threads = 1;  // at least min_threads is used
  // Above `grow_above` for two samples in a row with work waiting: one more thread; below
  // `shrink_below` for forty (10 s): one less. Growing is urgent, shrinking is only tidy.
  double grow_above = 0.8;
  double shrink_below = 0.3;
  std::chrono::milliseconds sample_interval{250};
};

struct WorkQueueOptions {
  std::uint32_t turns = 2;  // of the threads, beside the other pipelines' turns
};

class WorkQueue;

class Workers {
 public:
  explicit Workers(const WorkersOptions& options);
  ~Workers();  // stop(); after the last WorkQueue
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void start();
  void stop();

  // A pipeline joins. All references outlive the queue.
  [[nodiscard]] std::unique_ptr<WorkQueue> attach(const WorkQueueOptions& options,
                                                  InFlight& account, RowSink& next,
                                                  ChainEvents& events);

  [[nodiscard]] unsigned threads() const;
  // Share of the threads' time that was spent on batches in the last sample, 0..1.
  [[nodiscard]] double utilisation() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// One pipeline's way to the workers.
class WorkQueue final : public RecordSink {
 public:
  struct Lane;  // what the workers see of it

  WorkQueue(std::shared_ptr<Workers::State> workers, std::shared_ptr<Lane> lane);
  ~WorkQueue() override;  // close()
  // Drops what waits and what still comes, and returns when no worker has a batch of it any more.
  void close();

  void accept(std::unique_ptr<RecordBatch> batch) override;

  [[nodiscard]] std::size_t queued() const;
  // How long the batch that has been worked on for longest has taken; 0 when none is.
  [[nodiscard]] std::chrono::milliseconds longest_running() const;
  [[nodiscard]] const LatencyHistogram& queue_latency() const;    // handed on → worker takes it
  [[nodiscard]] const LatencyHistogram& process_latency() const;  // per batch, in a worker
  [[nodiscard]] const Counter& dropped() const;  // batches of chains that had ended

 private:
  std::shared_ptr<Workers::State> workers_;
  std::shared_ptr<Lane> lane_;
};

// What Workers decides from its samples, apart so that it can be tested without threads.
class ScalePolicy {
 public:
  explicit ScalePolicy(const WorkersOptions& options)
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

}  // namespace penstock::compute
