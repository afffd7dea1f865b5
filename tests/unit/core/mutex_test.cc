#include "core/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace penstock {
namespace {

TEST(CondVar, WakesAWaiterThatHoldsTheMutexAgain) {
  Mutex mutex;
  CondVar condition;
  bool ready = false;
  std::thread other([&] {
    const MutexLock lock(mutex);
    ready = true;
    condition.notify_one();
  });
  {
    const MutexLock lock(mutex);
    while (!ready) condition.wait(mutex);
    EXPECT_TRUE(ready);
  }
  other.join();
}

TEST(CondVar, SaysWhenTheDeadlinePassedFirst) {
  Mutex mutex;
  CondVar condition;
  const MutexLock lock(mutex);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  while (condition.wait_until(mutex, deadline)) {
  }
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
}

}  // namespace
}  // namespace penstock
