#include "control/request_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

namespace penstock::control {
namespace {

TEST(RequestThreads, TakeTheReserveWhenAllAreBusyAndThenNoMore) {
  RequestThreads threads({.threads = 1, .reserve_threads = 1, .waiting = 1});
  std::latch usual_runs(1);
  std::latch reserve_runs(1);
  std::latch go_on(1);
  std::atomic<int> usual{0};
  std::atomic<int> reserve{0};
  const auto task = [&](std::latch* runs) {
    return [&, runs] {
      ++(RequestThreads::in_reserve() ? reserve : usual);
      if (runs != nullptr) runs->count_down();
      go_on.wait();
    };
  };
  EXPECT_TRUE(threads.submit(task(&usual_runs)));
  EXPECT_TRUE(threads.submit(task(nullptr))) << "one may wait";
  EXPECT_TRUE(threads.submit(task(&reserve_runs)));
  EXPECT_TRUE(threads.submit(task(nullptr))) << "and one in the reserve";
  EXPECT_FALSE(threads.submit(task(nullptr)));
  usual_runs.wait();
  reserve_runs.wait();
  EXPECT_EQ(usual, 1);
  EXPECT_EQ(reserve, 1);
  go_on.count_down();
  threads.stop();
  EXPECT_EQ(usual, 2);
  EXPECT_EQ(reserve, 2) << "what was taken is run, even at the end";
}

TEST(RequestThreads, TakeNothingOnceTheyHaveStopped) {
  RequestThreads threads({.threads = 1, .reserve_threads = 1, .waiting = 1});
  threads.stop();
  threads.stop();
  EXPECT_FALSE(threads.submit([] { ADD_FAILURE() << "run"; }));
}

}  // namespace
}  // namespace penstock::control
