#include "core/byte_budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace penstock {
namespace {

TEST(ByteBudget, IsOverAtItsLimitAndBelowLowWaterAtThreeQuarters) {
  ByteBudget budget(100);
  budget.charge(99);
  EXPECT_FALSE(budget.over());
  EXPECT_FALSE(budget.below_low_water());
  budget.charge(1);
  EXPECT_TRUE(budget.over());
  budget.release(24);
  EXPECT_FALSE(budget.over());
  EXPECT_FALSE(budget.below_low_water());
  budget.release(1);
  EXPECT_TRUE(budget.below_low_water());
}

TEST(ByteBudget, TakesAnItemLargerThanItself) {
  ByteBudget budget(100);
  budget.charge(1'000'000);
  EXPECT_EQ(budget.used(), 1'000'000U);
  EXPECT_TRUE(budget.over());
  budget.release(1'000'000);
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_TRUE(budget.below_low_water());
}

TEST(ByteBudget, CountsRightFromManyThreads) {
  ByteBudget budget(1000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10'000; ++j) {
        budget.charge(7);
        budget.release(7);
      }
      budget.charge(3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 12U);
}

}  // namespace
}  // namespace penstock
