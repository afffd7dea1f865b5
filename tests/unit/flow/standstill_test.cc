#include "flow/standstill.h"

#include <gtest/gtest.h>

namespace penstock::flow {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""h;

constexpr SteadyTime kMoved{};
constexpr PartitionMotion kIdle{
    .committed = 100, .committed_at = kMoved, .taken = 100, .log_end = 100};

PartitionMotion unread(SteadyTime since) {
  PartitionMotion motion = kIdle;
  motion.log_end = 1300;
  motion.unread_since = since;
  return motion;
}

PartitionMotion in_flight(SteadyTime since) {
  PartitionMotion motion = kIdle;
  motion.log_end = 1300;
  motion.taken = 400;
  motion.in_flight_records = 300;
  motion.in_flight_since = since;
  return motion;
}

TEST(Standstill, SaysNothingOfAPartitionThatIsThroughWithItsLog) {
  EXPECT_EQ(standstill(kIdle, kMoved + 24h), "");
}

TEST(Standstill, SaysWhenNothingHasBeenFetchedForAMinute) {
  EXPECT_EQ(standstill(unread(kMoved), kMoved + 59s), "");
  EXPECT_EQ(
      standstill(unread(kMoved), kMoved + 60s),
      "has not moved for 60 s although 1200 records wait: nothing has been fetched from Kafka");
}

TEST(Standstill, SaysWhatIsInFlight) {
  EXPECT_EQ(standstill(in_flight(kMoved), kMoved + 59s), "");
  EXPECT_EQ(standstill(in_flight(kMoved), kMoved + 75s),
            "has not moved for 75 s although 1200 records wait: 300 of them are in flight and not "
            "committed");
}

TEST(Standstill, CountsFromWhenThereWasSomethingToDo) {
  // Idle for an hour: the record that has just come is not late.
  EXPECT_EQ(standstill(unread(kMoved + 1h), kMoved + 1h + 59s), "");
  EXPECT_EQ(standstill(in_flight(kMoved + 1h), kMoved + 1h + 59s), "");
  EXPECT_NE(standstill(unread(kMoved + 1h), kMoved + 1h + 60s), "");
  EXPECT_NE(standstill(in_flight(kMoved + 1h), kMoved + 1h + 60s), "");
}

TEST(Standstill, CountsFromTheLastCommitWhileThereIsAlwaysSomethingToDo) {
  PartitionMotion busy = in_flight(kMoved);
  busy.committed_at = kMoved + 1h;
  EXPECT_EQ(standstill(busy, kMoved + 1h + 59s), "");
  EXPECT_NE(standstill(busy, kMoved + 1h + 60s), "");
}

TEST(Standstill, SaysWhenWhatWasTakenIsNowhere) {
  PartitionMotion lost = kIdle;
  lost.taken = 400;
  EXPECT_EQ(standstill(lost, kMoved + 61s),
            "has not moved for 61 s although 300 records wait: they were taken up to offset 400, "
            "and nothing is in flight");
}

TEST(Standstill, CountsWhatIsInFlightWhileTheEndOfTheLogIsNotKnown) {
  PartitionMotion motion = in_flight(kMoved);
  motion.log_end = -1;
  EXPECT_EQ(standstill(motion, kMoved + 60s),
            "has not moved for 60 s although 300 records wait: 300 of them are in flight and not "
            "committed");
}

TEST(Standstill, LeavesAPartitionWithoutAClaimToItsOwnReason) {
  EXPECT_EQ(standstill({.log_end = 10, .unread_since = kMoved}, kMoved + 24h), "");
}

}  // namespace
}  // namespace penstock::flow
