#include "ingest/wakeup.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

TEST(Wakeup, RemembersANoticeThatCameBeforeTheWait) {
  Wakeup wakeup;
  wakeup.notify();
  wakeup.notify();
  const auto begin = std::chrono::steady_clock::now();
  wakeup.wait_until(begin + milliseconds(60'000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(30'000));
  wakeup.wait_until(std::chrono::steady_clock::now() +
                    milliseconds(1));  // and forgets it after that
}

TEST(Wakeup, EndsAWaitThatIsRunning) {
  Wakeup wakeup;
  std::thread other([&] { wakeup.notify(); });
  const auto begin = std::chrono::steady_clock::now();
  wakeup.wait_until(begin + milliseconds(60'000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(30'000));
  other.join();
}

}  // namespace
}  // namespace penstock::ingest
