#include "postgres/wakeup.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

SteadyTime in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

TEST(Wakeup, EndsAWaitThatHasNotBegunYet) {
  Wakeup wakeup(system_clock());
  wakeup.wake();
  EXPECT_EQ(wakeup.wait(-1, 0, in(60s)), 0);
}

TEST(Wakeup, EndsAWaitFromAnotherThread) {
  Wakeup wakeup(system_clock());
  std::thread other([&] { wakeup.stop(); });
  while (!wakeup.stopped()) wakeup.wait(-1, 0, in(60s));
  other.join();
  wakeup.wait(-1, 0, in(60s));  // for good
  wakeup.wait(-1, 0, in(60s));
}

TEST(Wakeup, SaysWhatAFileIsReadyFor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Wakeup wakeup(system_clock());
  EXPECT_EQ(wakeup.wait(ends[1], POLLOUT, in(60s)), POLLOUT);
  EXPECT_EQ(wakeup.wait(ends[0], POLLIN, in(1ms)), 0);
  ::close(ends[1]);
  EXPECT_NE(wakeup.wait(ends[0], POLLIN, in(60s)) & POLLHUP, 0);
  ::close(ends[0]);
}

TEST(Wakeup, BeatsWithEveryWait) {
  Wakeup wakeup(system_clock());
  const SteadyTime before = wakeup.heartbeat();
  while (wakeup.heartbeat() == before) wakeup.wait(-1, 0, in(1ms));
  EXPECT_GT(wakeup.heartbeat(), before);
}

}  // namespace
}  // namespace penstock::postgres
