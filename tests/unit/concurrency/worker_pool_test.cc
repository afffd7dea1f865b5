#include "concurrency/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "concurrency/mutex.h"

namespace penstock {
namespace {

using std::chrono::milliseconds;
using Task = WorkerPool::Task;

Task task(Offset from) { return std::make_unique<RecordBatch>(PartitionId{}, Epoch{1}, from, 16); }

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  return condition();
}

// Collects what became of tasks.
struct Fates {
  void add(std::vector<Offset>& fate, const Task& item) {
    const MutexLock lock(mutex);
    fate.push_back(item ? item->range().from : -1);
  }
  std::vector<Offset> get(const std::vector<Offset>& fate) {
    const MutexLock lock(mutex);
    return fate;
  }
  Mutex mutex;
  std::vector<Offset> done;
  std::vector<Offset> failed;
  std::vector<Offset> abandoned;
};

WorkerPool::Hooks hooks(Fates& fates, std::function<void(Task&)> work = [](Task&) {}) {
  return {
      .make_worker =
          [&fates, work] {
            return [&fates, work](Task&& item) {
              work(item);
              fates.add(fates.done, item);
            };
          },
      .on_task_failure = [&fates](Task item, const std::string&) { fates.add(fates.failed, item); },
      .on_abandoned = [&fates](Task item) { fates.add(fates.abandoned, item); }};
}

WorkerPool::Options options(unsigned least, unsigned most) {
  WorkerPool::Options options;
  options.min_threads = least;
  options.max_threads = most;
  options.sample_interval = milliseconds(5);
  return options;
}

TEST(WorkerPool, DoesItsTasksInOrderOnOneThread) {
  Fates fates;
  WorkerPool pool(options(1, 1), hooks(fates));
  pool.submit(task(0));
  pool.start();
  pool.submit(task(1));
  pool.submit(task(2));
  pool.close();
  EXPECT_EQ(fates.done, (std::vector<Offset>{0, 1, 2}));
  EXPECT_EQ(pool.threads(), 0U);
}

TEST(WorkerPool, MakesAWorkerForEveryThread) {
  std::atomic<int> made{0};
  std::promise<void> all_run;
  std::shared_future<void> gate = all_run.get_future().share();
  std::atomic<int> running{0};
  WorkerPool pool(options(3, 3), {.make_worker =
                                      [&] {
                                        ++made;
                                        return [&](Task&&) {
                                          ++running;
                                          gate.wait();
                                        };
                                      },
                                  .on_task_failure = {},
                                  .on_abandoned = {}});
  pool.start();
  for (int i = 0; i < 3; ++i) pool.submit(task(i));
  EXPECT_TRUE(eventually([&] { return running == 3; }));
  EXPECT_EQ(made, 3);
  all_run.set_value();
  pool.close();
}

TEST(WorkerPool, FinishesWhatIsQueuedWhenClosed) {
  Fates fates;
  WorkerPool pool(options(2, 2), hooks(fates));
  pool.start();
  for (int i = 0; i < 1000; ++i) pool.submit(task(i));
  pool.close();
  EXPECT_EQ(fates.done.size(), 1000U);
  EXPECT_TRUE(fates.abandoned.empty());
}

TEST(WorkerPool, AbandonsWhatIsQueuedWhenStopped) {
  Fates fates;
  std::promise<void> started;
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  WorkerPool pool(options(1, 1), hooks(fates, [&](Task& item) {
                    if (item->range().from == 0) started.set_value();
                    gate.wait();
                  }));
  pool.start();
  for (int i = 0; i < 4; ++i) pool.submit(task(i));
  started.get_future().wait();
  std::thread stopper([&] { pool.stop(); });
  EXPECT_TRUE(eventually([&] {  // the queue is only given up when nothing new comes in
    pool.submit(task(100));
    const auto abandoned = fates.get(fates.abandoned);
    return !abandoned.empty() && abandoned.back() == 100;
  }));
  go_on.set_value();
  stopper.join();
  EXPECT_EQ(fates.done, (std::vector<Offset>{0}));
  EXPECT_GE(fates.abandoned.size(), 4U);
  EXPECT_EQ(pool.queued(), 0U);
}

TEST(WorkerPool, AbandonsWhatComesAfterTheEnd) {
  Fates fates;
  WorkerPool pool(options(1, 1), hooks(fates));
  pool.start();
  pool.close();
  pool.submit(task(7));
  EXPECT_EQ(fates.abandoned, (std::vector<Offset>{7}));
}

TEST(WorkerPool, AbandonsWhatWasSubmittedIfItNeverStarted) {
  Fates fates;
  {
    WorkerPool pool(options(1, 1), hooks(fates));
    pool.submit(task(1));
  }
  EXPECT_EQ(fates.abandoned, (std::vector<Offset>{1}));
}

TEST(WorkerPool, StartsAndEndsTwiceWithoutHarm) {
  Fates fates;
  WorkerPool pool(options(1, 1), hooks(fates));
  pool.start();
  pool.start();
  EXPECT_EQ(pool.threads(), 1U);
  pool.submit(task(0));
  pool.close();
  pool.close();
  pool.stop();
  pool.start();
  EXPECT_EQ(pool.threads(), 0U);
  EXPECT_EQ(fates.done.size(), 1U);
}

TEST(WorkerPool, SurvivesAWorkerThatThrows) {
  Fates fates;
  WorkerPool pool(options(1, 1), hooks(fates, [](Task& item) {
                    if (item->range().from == 1) throw std::runtime_error("poison");
                    if (item->range().from == 2) throw 1;
                  }));
  pool.start();
  for (int i = 0; i < 4; ++i) pool.submit(task(i));
  pool.close();
  EXPECT_EQ(fates.done, (std::vector<Offset>{0, 3}));
  EXPECT_EQ(fates.failed, (std::vector<Offset>{1, 2}));
}

TEST(WorkerPool, HandsOverNoTaskThatTheWorkerHadTaken) {
  Fates fates;
  WorkerPool::Hooks taking = hooks(fates);
  taking.make_worker = [] { return [](Task) { throw std::runtime_error("late"); }; };
  WorkerPool pool(options(1, 1), taking);
  pool.start();
  pool.submit(task(5));
  pool.close();
  EXPECT_EQ(fates.failed, (std::vector<Offset>{-1}));
}

TEST(WorkerPool, GrowsUnderLoadToItsMaximum) {
  Fates fates;
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  WorkerPool pool(options(1, 3), hooks(fates, [&](Task&) { gate.wait(); }));
  pool.start();
  for (int i = 0; i < 10; ++i) pool.submit(task(i));
  EXPECT_TRUE(eventually([&] { return pool.threads() == 3; }));
  EXPECT_TRUE(eventually([&] { return pool.utilisation() > 0.8; }));
  EXPECT_GT(pool.longest_running(), milliseconds(0));
  go_on.set_value();
  pool.close();
  EXPECT_EQ(fates.done.size(), 10U);
}

TEST(WorkerPool, ShrinksToItsMinimumWhenIdle) {
  Fates fates;
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  WorkerPool pool(options(1, 2), hooks(fates, [&](Task&) { gate.wait(); }));
  pool.start();
  for (int i = 0; i < 3; ++i) pool.submit(task(i));
  EXPECT_TRUE(eventually([&] { return pool.threads() == 2; }));
  go_on.set_value();
  EXPECT_TRUE(eventually([&] { return pool.threads() == 1; }));
  EXPECT_EQ(pool.longest_running(), milliseconds(0));
  pool.submit(task(9));
  pool.close();
  EXPECT_EQ(fates.done.size(), 4U);
}

TEST(WorkerPool, TriesAgainWhenAWorkerCannotBeMade) {
  Fates fates;
  std::atomic<int> tries{0};
  WorkerPool::Hooks failing = hooks(fates);
  failing.make_worker = [&, make = failing.make_worker] {
    if (++tries == 1) throw std::runtime_error("no memory for a parser");
    return make();
  };
  WorkerPool pool(options(1, 1), failing);
  pool.start();
  pool.submit(task(0));
  EXPECT_TRUE(eventually([&] { return fates.get(fates.done).size() == 1; }));
  pool.close();
}

TEST(ScalePolicy, GrowsAfterTwoHotSamplesWithWorkWaiting) {
  ScalePolicy policy({});
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.9, true), 1);
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.5, true), 0);  // a cool one in between begins anew
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.9, false), 0);  // busy, but nothing waits
  EXPECT_EQ(policy.sample(0.9, true), 0);
}

TEST(ScalePolicy, ShrinksOnlyAfterALongQuietTime) {
  ScalePolicy policy({});
  int samples = 1;
  while (policy.sample(0.1, false) == 0) ++samples;
  EXPECT_EQ(samples, 40);
  for (int i = 0; i < 39; ++i) EXPECT_EQ(policy.sample(0.1, false), 0);
  EXPECT_EQ(policy.sample(0.5, false), 0);
  EXPECT_EQ(policy.sample(0.1, false), 0);
}

}  // namespace
}  // namespace penstock
