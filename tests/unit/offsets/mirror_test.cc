#include "offsets/mirror.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

class ManualClock : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return now; }
  SteadyTime now{};
};

class MirrorTest : public testing::Test {
 protected:
  using Positions = std::vector<Mirror::Position>;

  ManualClock clock;
  std::vector<Positions> rounds;
  Mirror mirror{{.interval = 500ms},
                [this](std::span<const Mirror::Position> positions) {
                  rounds.emplace_back(positions.begin(), positions.end());
                },
                clock};
};

TEST_F(MirrorTest, SendsTheNewestOffsetOfEachPartitionOncePerInterval) {
  mirror.assign({0, 1}, Epoch{1});
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 1}, Epoch{1}, 5);
  mirror.note({0, 0}, Epoch{1}, 3);
  mirror.note({0, 1}, Epoch{1}, 9);
  clock.now += 499ms;
  mirror.tick();
  EXPECT_TRUE(rounds.empty());
  clock.now += 1ms;
  mirror.tick();
  ASSERT_EQ(rounds.size(), 1U);
  EXPECT_EQ(rounds[0], (Positions{{{0, 0}, 3}, {{0, 1}, 9}}));
}

TEST_F(MirrorTest, SendsNothingWhenNothingIsNew) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 3);
  mirror.flush();
  clock.now += 1s;
  mirror.tick();
  mirror.flush();
  EXPECT_EQ(rounds.size(), 1U);
}

TEST_F(MirrorTest, SendsOnlyWhatChanged) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.assign({0, 1}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 3);
  mirror.note({0, 1}, Epoch{1}, 3);
  mirror.flush();
  mirror.note({0, 1}, Epoch{1}, 4);
  mirror.flush();
  EXPECT_EQ(rounds.back(), (Positions{{{0, 1}, 4}}));
}

TEST_F(MirrorTest, FlushesWithoutWaiting) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 3);
  mirror.flush();
  EXPECT_EQ(rounds.size(), 1U);
  mirror.note({0, 0}, Epoch{1}, 4);
  clock.now += 499ms;
  mirror.tick();
  EXPECT_EQ(rounds.size(), 1U) << "a flush is a round too";
}

TEST_F(MirrorTest, NeverMovesBackwards) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 9);
  mirror.note({0, 0}, Epoch{1}, 3);
  mirror.flush();
  EXPECT_EQ(rounds.back(), (Positions{{{0, 0}, 9}}));
}

TEST_F(MirrorTest, ForgetsAPartitionThatWasRevoked) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 9);
  mirror.forget({0, 0});
  mirror.note({0, 0}, Epoch{1}, 10);
  mirror.flush();
  EXPECT_TRUE(rounds.empty()) << "its next owner speaks for it";
}

TEST_F(MirrorTest, IgnoresNotesOfAnOldEpoch) {
  mirror.assign({0, 0}, Epoch{2});
  mirror.note({0, 0}, Epoch{1}, 50);
  mirror.note({0, 0}, Epoch{2}, 10);
  mirror.flush();
  EXPECT_EQ(rounds.back(), (Positions{{{0, 0}, 10}}));
}

TEST_F(MirrorTest, MayStartLowerAfterANewClaim) {
  mirror.assign({0, 0}, Epoch{1});
  mirror.note({0, 0}, Epoch{1}, 50);
  mirror.flush();
  mirror.assign({0, 0}, Epoch{2});
  mirror.note({0, 0}, Epoch{2}, 40);
  mirror.flush();
  EXPECT_EQ(rounds.back(), (Positions{{{0, 0}, 40}}))
      << "PostgreSQL failed over to a lagging standby";
}

TEST(Mirror, TakesNotesFromManyThreadsWhileItSends) {
  std::atomic<Offset> last{-1};
  Mirror mirror({.interval = 0ms}, [&](std::span<const Mirror::Position> positions) {
    for (const auto& [id, offset] : positions) {
      EXPECT_GT(offset, last.load());
      last = offset;
    }
  });
  mirror.assign({0, 0}, Epoch{1});
  {
    std::vector<std::jthread> lanes;
    for (int lane = 0; lane < 3; ++lane) {
      lanes.emplace_back([&] {
        for (Offset offset = 1; offset <= 1000; ++offset) {
          mirror.note({0, 0}, Epoch{1}, offset);
          mirror.tick();
        }
      });
    }
  }
  mirror.flush();
  EXPECT_EQ(last.load(), 1000);
}

}  // namespace
}  // namespace penstock::offsets
