#include "core/charge.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

namespace penstock {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<Chain> chain() {
  return std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, nullptr);
}

TEST(Charge, GivesBackWhatItTookWhenItGoes) {
  InFlight account(1000, 500);
  const auto owner = chain();
  {
    Charge charge(account);
    charge.set_read_bytes(300);
    charge.hand_on(owner, 7, SteadyTime{5s});
    charge.set_write_bytes(80);
    EXPECT_EQ(account.read.used(), 300U);
    EXPECT_EQ(account.write.used(), 80U);
    EXPECT_EQ(account.batches(), 1);
    EXPECT_EQ(account.oldest(), SteadyTime{5s});
    EXPECT_EQ(owner->batches_in_flight(), 1);
    EXPECT_EQ(owner->records_in_flight(), 7);
  }
  EXPECT_EQ(account.read.used(), 0U);
  EXPECT_EQ(account.write.used(), 0U);
  EXPECT_EQ(account.batches(), 0);
  EXPECT_EQ(account.oldest(), std::nullopt);
  EXPECT_EQ(owner->batches_in_flight(), 0);
  EXPECT_EQ(owner->records_in_flight(), 0);
}

TEST(Charge, OfABatchThatIsSplitIsGivenBackByBothParts) {
  InFlight account(1000, 500);
  const auto owner = chain();
  Charge rest;
  {
    Charge charge(account);
    charge.set_read_bytes(300);
    charge.hand_on(owner, 7, SteadyTime{5s});
    rest = charge.split_off(4);
    EXPECT_EQ(account.read.used(), 300U);
    EXPECT_EQ(account.batches(), 2);
    EXPECT_EQ(owner->batches_in_flight(), 2);
    EXPECT_EQ(owner->records_in_flight(), 7);
  }
  EXPECT_EQ(account.read.used(), 300U);
  EXPECT_EQ(account.oldest(), SteadyTime{5s});
  EXPECT_EQ(owner->batches_in_flight(), 1);
  EXPECT_EQ(owner->records_in_flight(), 4);
  rest = Charge();
  EXPECT_EQ(account.read.used(), 0U);
  EXPECT_EQ(account.batches(), 0);
  EXPECT_EQ(owner->records_in_flight(), 0);
}

TEST(Charge, MovesWithoutCountingTwice) {
  InFlight account(1000, 500);
  Charge first(account);
  first.set_read_bytes(10);
  first.hand_on(chain(), 1, SteadyTime{1s});
  Charge second(std::move(first));
  EXPECT_EQ(account.read.used(), 10U);
  EXPECT_EQ(account.batches(), 1);
  second = Charge(account);
  EXPECT_EQ(account.read.used(), 0U);
  EXPECT_EQ(account.batches(), 0);
}

TEST(Charge, FollowsAGrowingAndAShrinkingBatch) {
  InFlight account(1000, 500);
  Charge charge(account);
  charge.set_read_bytes(100);
  charge.set_read_bytes(250);
  EXPECT_EQ(account.read.used(), 250U);
  charge.set_read_bytes(40);
  EXPECT_EQ(account.read.used(), 40U);
}

TEST(InFlight, WaitsUntilTheLastBatchHasEnded) {
  InFlight account(1000, 500);
  auto charge = std::make_unique<Charge>(account);
  charge->hand_on(chain(), 1, SteadyTime{1s});
  EXPECT_FALSE(account.wait_empty(std::chrono::steady_clock::now()));
  const std::jthread other([&] { charge.reset(); });
  EXPECT_TRUE(account.wait_empty(std::chrono::steady_clock::now() + 30s));
}

TEST(InFlight, GivesUpAllWaits) {
  InFlight account(1000, 500);
  Charge charge(account);
  charge.hand_on(chain(), 1, SteadyTime{1s});
  const std::jthread other([&] { account.give_up(); });
  EXPECT_FALSE(account.wait_empty(std::chrono::steady_clock::now() + 30s));
}

}  // namespace
}  // namespace penstock
