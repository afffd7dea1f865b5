#include "app/shutdown_deadline.h"

#include <gtest/gtest.h>

namespace penstock::app {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kBegin{1h};

TEST(ShutdownDeadline, GivesTheDrainItsTimeAndAMomentMore) {
  const ShutdownDeadline deadline(kBegin, 30s);
  EXPECT_FALSE(deadline.passed(kBegin));
  EXPECT_FALSE(deadline.passed(kBegin + 37'999ms));
  EXPECT_TRUE(deadline.passed(kBegin + 38s));
  EXPECT_LT(ShutdownDeadline::kGrace, 10s) << "the promise is drain_timeout + 10 s";
  EXPECT_EQ(deadline.taken(kBegin + 38s), 38s);
}

TEST(ShutdownDeadline, ComesSoonAfterASecondSignal) {
  ShutdownDeadline deadline(kBegin, 30s);
  deadline.hurry(kBegin + 1s);
  EXPECT_FALSE(deadline.passed(kBegin + 3'999ms));
  EXPECT_TRUE(deadline.passed(kBegin + 4s));
}

TEST(ShutdownDeadline, IsNeverPutOff) {
  ShutdownDeadline deadline(kBegin, 0s);
  deadline.hurry(kBegin + 1s);
  deadline.hurry(kBegin + 3s);
  EXPECT_TRUE(deadline.passed(kBegin + 4s)) << "each signal counts from the first hurry";
  ShutdownDeadline late(kBegin, 0s);
  late.hurry(kBegin + 7s);
  EXPECT_TRUE(late.passed(kBegin + 8s)) << "the first end stands";
}

}  // namespace
}  // namespace penstock::app
