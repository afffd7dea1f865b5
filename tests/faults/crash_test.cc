// SIGKILL under load: whatever was in flight is read again, and nothing is there twice.
#include <gtest/gtest.h>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

TEST(Crash, LosesAndDoublesNothingWhenKilledAgainAndAgain) {
  Stand stand;
  stand.produce_on(10'000);
  int bitten = 0;
  for (int life = 1; life <= 3; ++life) {
    auto serve = stand.serve("life-" + std::to_string(life));
    ASSERT_TRUE(stand.wait_until_applied(life * 10'000)) << serve.log();
    serve.kill();
    // There was work left that this process had begun.
    if (stand.applied() < stand.sent()) ++bitten;
  }
  EXPECT_EQ(bitten, 3) << "it was killed when it had nothing to do";
  auto survivor = stand.serve("survivor");
  expect_exactly_once(stand.conclude());
}

TEST(Crash, LeavesNothingBehindThatTheNextProcessWouldWaitFor) {
  Stand stand;
  stand.produce_on(10'000);
  auto first = stand.serve("first");
  ASSERT_TRUE(stand.wait_until_applied(5'000)) << first.log();
  first.kill();
  const auto killed = std::chrono::steady_clock::now();
  const std::int64_t before = stand.applied();
  auto second = stand.serve("second");
  ASSERT_TRUE(stand.wait_until_applied(before + 1, 20s)) << second.log();
  EXPECT_LT(std::chrono::steady_clock::now() - killed, 15s);
  expect_exactly_once(stand.conclude());
}

}  // namespace
}  // namespace penstock::test
