#include "concurrency/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

#include "core/mutex.h"

namespace penstock {
namespace {

using std::chrono::milliseconds;

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return condition();
}

// Jobs that wait until they are let go, and count how many are inside.
class Gate {
 public:
  Executor::Job job() {
    return [this](const std::stop_token&) {
      ++inside;
      const MutexLock lock(mutex_);
      while (!open_) opened_.wait(mutex_);
      --inside;
    };
  }
  void open() {
    const MutexLock lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  std::atomic<int> inside{0};

 private:
  Mutex mutex_;
  CondVar opened_;
  bool open_ GUARDED_BY(mutex_) = false;
};

TEST(Executor, RunsJobsBesideEachOtherUpToItsLimit) {
  Executor executor({.name = "test", .max_threads = 3});
  Gate gate;
  for (int i = 0; i < 5; ++i) executor.submit(gate.job());
  ASSERT_TRUE(eventually([&] { return gate.inside == 3; }));
  EXPECT_EQ(executor.threads(), 3U);
  EXPECT_EQ(executor.queued(), 2U);
  gate.open();
  ASSERT_TRUE(eventually([&] { return executor.queued() == 0 && gate.inside == 0; }));
}

TEST(Executor, EndsThreadsThatAreIdleButForOne) {
  Executor executor({.name = "test", .max_threads = 4, .idle_timeout = milliseconds(20)});
  Gate gate;
  for (int i = 0; i < 4; ++i) executor.submit(gate.job());
  ASSERT_TRUE(eventually([&] { return gate.inside == 4; }));
  gate.open();
  ASSERT_TRUE(eventually([&] { return executor.threads() == 1; }));
  std::atomic<bool> ran{false};
  executor.submit([&](const std::stop_token&) { ran = true; });
  ASSERT_TRUE(eventually([&] { return ran.load(); }));
}

TEST(Executor, GoesOnAfterAJobThatThrows) {
  Executor executor({.name = "test", .max_threads = 1});
  std::atomic<bool> ran{false};
  executor.submit([](const std::stop_token&) { throw std::runtime_error("no"); });
  executor.submit([&](const std::stop_token&) { ran = true; });
  ASSERT_TRUE(eventually([&] { return ran.load(); }));
}

TEST(Executor, AsksRunningJobsToStopAndDestroysTheOthers) {
  const auto owner = std::make_shared<int>(0);
  std::atomic<bool> begun{false};
  bool stopped = false;
  {
    Executor executor({.name = "test", .max_threads = 1});
    executor.submit([&](const std::stop_token& stop) {
      begun = true;
      stopped = eventually([&] { return stop.stop_requested(); });
    });
    executor.submit([owner](const std::stop_token&) { ADD_FAILURE() << "it had not begun"; });
    ASSERT_TRUE(eventually([&] { return begun.load(); }));
    EXPECT_EQ(owner.use_count(), 2);
  }
  EXPECT_TRUE(stopped);
  EXPECT_EQ(owner.use_count(), 1);
}

}  // namespace
}  // namespace penstock
