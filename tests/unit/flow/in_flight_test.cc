#include "flow/in_flight.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "concurrency/thread.h"

namespace penstock::flow {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""h;

constexpr PartitionId kFirst{0, 1};
constexpr PartitionId kSecond{0, 2};
constexpr SteadyTime kPolled{};

SteadyTime far_away() { return std::chrono::steady_clock::now() + 1h; }
SteadyTime long_ago() { return std::chrono::steady_clock::now() - 1s; }

TEST(InFlight, CountsRecordsPerPartition) {
  InFlight in_flight;
  in_flight.add(kFirst, 10, kPolled);
  in_flight.add(kFirst, 5, kPolled);
  in_flight.add(kSecond, 1, kPolled);
  in_flight.remove(kFirst, 10, kPolled);
  EXPECT_EQ(in_flight.records(kFirst), 5);
  EXPECT_EQ(in_flight.records(kSecond), 1);
  EXPECT_EQ(in_flight.batches(), 2);
}

TEST(InFlight, KnowsTheOldest) {
  InFlight in_flight;
  EXPECT_FALSE(in_flight.oldest());
  in_flight.add(kFirst, 1, kPolled + 2s);
  in_flight.add(kSecond, 1, kPolled + 1s);
  in_flight.add(kFirst, 1, kPolled + 1s);  // at the same time
  in_flight.add(kSecond, 1, kPolled + 3s);
  EXPECT_EQ(in_flight.oldest(), kPolled + 1s);
  in_flight.remove(kSecond, 1, kPolled + 1s);
  EXPECT_EQ(in_flight.oldest(), kPolled + 1s);
  in_flight.remove(kFirst, 1, kPolled + 1s);
  EXPECT_EQ(in_flight.oldest(), kPolled + 2s);
  in_flight.remove(kSecond, 1, kPolled + 3s);  // not the oldest
  EXPECT_EQ(in_flight.oldest(), kPolled + 2s);
  in_flight.remove(kFirst, 1, kPolled + 2s);
  EXPECT_FALSE(in_flight.oldest());
}

TEST(InFlight, KnowsSinceWhenAPartitionHasSomethingAllTheTime) {
  InFlight in_flight;
  EXPECT_FALSE(in_flight.since(kFirst));
  in_flight.add(kFirst, 1, kPolled + 1s);
  in_flight.add(kFirst, 1, kPolled + 2s);
  in_flight.add(kSecond, 1, kPolled + 3s);
  in_flight.remove(kFirst, 1, kPolled + 1s);
  EXPECT_EQ(in_flight.since(kFirst), kPolled + 1s) << "there was something all the time";
  in_flight.remove(kFirst, 1, kPolled + 2s);
  EXPECT_FALSE(in_flight.since(kFirst));
  in_flight.add(kFirst, 1, kPolled + 4s);
  EXPECT_EQ(in_flight.since(kFirst), kPolled + 4s);
  EXPECT_EQ(in_flight.since(kSecond), kPolled + 3s);
}

TEST(InFlight, CountsABatchWithoutRecords) {
  InFlight in_flight;
  in_flight.add(kFirst, 0, kPolled);
  EXPECT_FALSE(in_flight.wait_empty(std::array{kFirst}, long_ago()));
  in_flight.remove(kFirst, 0, kPolled);
  EXPECT_TRUE(in_flight.wait_empty(std::array{kFirst}, long_ago()));
}

TEST(InFlight, WaitsOnlyForThePartitionsThatWereNamed) {
  InFlight in_flight;
  in_flight.add(kSecond, 1, kPolled);
  EXPECT_TRUE(in_flight.wait_empty(std::array{kFirst}, far_away()));
  EXPECT_FALSE(in_flight.wait_empty(std::array{kFirst, kSecond}, long_ago()));
  EXPECT_FALSE(in_flight.wait_all_empty(long_ago()));
}

TEST(InFlight, WakesWhoWaitsWhenTheLastBatchIsDone) {
  InFlight in_flight;
  in_flight.add(kFirst, 1, kPolled);
  bool emptied = false;
  Thread waiter("waiter", [&] { emptied = in_flight.wait_all_empty(far_away()); });
  in_flight.remove(kFirst, 1, kPolled);
  waiter.join();
  EXPECT_TRUE(emptied);
}

TEST(InFlight, GivingUpEndsAWaitThatWouldNotEnd) {
  InFlight in_flight;
  in_flight.add(kFirst, 1, kPolled);
  bool emptied = true;
  Thread waiter("waiter", [&] { emptied = in_flight.wait_all_empty(far_away()); });
  in_flight.give_up();
  waiter.join();
  EXPECT_FALSE(emptied);
  EXPECT_FALSE(in_flight.wait_empty(std::array{kFirst}, far_away()));
}

}  // namespace
}  // namespace penstock::flow
