#include "core/chain.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace penstock {
namespace {

TEST(Chain, BeginsWhereTheClaimSaysAndRuns) {
  const Chain chain({1, 2}, Epoch{3}, 40, nullptr);
  EXPECT_EQ(chain.committed(), 40);
  EXPECT_TRUE(chain.running());
  EXPECT_EQ(chain.batches_in_flight(), 0);
}

TEST(Chain, EndsOnceAndForTheFirstReason) {
  Chain chain({0, 0}, Epoch{1}, 0, nullptr);
  EXPECT_TRUE(chain.end(ChainEnd::fenced));
  EXPECT_FALSE(chain.end(ChainEnd::revoked));
  EXPECT_EQ(chain.ended(), ChainEnd::fenced);
}

TEST(Chain, IsEndedByExactlyOneOfManyThreads) {
  for (int round = 0; round < 50; ++round) {
    Chain chain({0, 0}, Epoch{1}, 0, nullptr);
    std::atomic<int> ended{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] { ended += chain.end(ChainEnd::lost) ? 1 : 0; });
      }
    }
    EXPECT_EQ(ended, 1);
  }
}

}  // namespace
}  // namespace penstock
