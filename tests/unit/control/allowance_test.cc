#include "control/allowance.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

TEST(Allowance, IsThereAtOnceAndComesBackWithTime) {
  const SteadyTime begin{};
  Allowance allowance(100, 10, begin);
  EXPECT_EQ(allowance.next(begin), begin);
  allowance.take(10, begin);
  EXPECT_FALSE(allowance.has_any(begin));
  EXPECT_EQ(allowance.next(begin), begin + 10ms);
  EXPECT_TRUE(allowance.has_any(begin + 10ms));
}

TEST(Allowance, MakesWhoTakesMoreThanThereIsWaitLonger) {
  const SteadyTime begin{};
  Allowance allowance(100, 10, begin);
  allowance.take(60, begin);
  EXPECT_FALSE(allowance.has_any(begin + 500ms));
  EXPECT_EQ(allowance.next(begin), begin + 510ms);
  EXPECT_TRUE(allowance.has_any(begin + 510ms));
}

TEST(Allowance, SavesNoMoreThanABurst) {
  const SteadyTime begin{};
  Allowance allowance(100, 10, begin);
  allowance.take(10, begin + 1h);
  EXPECT_FALSE(allowance.has_any(begin + 1h));
}

}  // namespace
}  // namespace penstock::control
