#include "flow/health.h"

#include <gtest/gtest.h>

namespace penstock::flow {
namespace {

Stall stall(Stall::Kind kind, std::string message) {
  return {kind, {ErrorKind::unavailable, std::move(message), {}, {}}};
}

class HealthTest : public testing::Test {
 protected:
  PipelineSnapshot snapshot(bool joined = true) {
    PipelineSnapshot snapshot;
    snapshot.group_joined = joined;
    snapshot.partitions = partitions_;
    snapshot.aside_reason = aside_reason_;
    health_.fill(snapshot, kafka_error_, fatal_);
    return snapshot;
  }

  Health health_{"orders"};
  std::vector<PartitionStatus> partitions_;
  std::string aside_reason_;
  std::optional<Error> kafka_error_;
  std::optional<Error> fatal_;
};

TEST_F(HealthTest, RunsWhenNothingHoldsItBack) {
  EXPECT_EQ(snapshot().state, PipelineState::running);
  EXPECT_TRUE(snapshot().database_reachable);
  EXPECT_FALSE(health_.database_unusable());
}

TEST_F(HealthTest, StartsUntilTheGroupIsJoinedAndSaysWhatKafkaSays) {
  EXPECT_EQ(snapshot(false).state, PipelineState::starting);
  EXPECT_EQ(snapshot(false).state_reason, "joining the group");
  kafka_error_ = Error{ErrorKind::unavailable, "brokers are down", {}, {}};
  EXPECT_EQ(snapshot(false).state_reason, "brokers are down");
}

TEST_F(HealthTest, SaysWhyItSteppedAsideBeforeWhatTheLanesSay) {
  health_.set_stall(0, stall(Stall::Kind::away, "gone"));
  aside_reason_ = "left for others";
  EXPECT_EQ(snapshot(false).state, PipelineState::backoff);
  EXPECT_EQ(snapshot(false).state_reason, "left for others");
  health_.set_stall(0, std::nullopt);
  EXPECT_EQ(snapshot(false).state_reason, "left for others");
  EXPECT_FALSE(snapshot(false).database_reachable);
}

TEST_F(HealthTest, AServerThatSaysThatItIsFullDoesAnswer) {
  Stall full = stall(Stall::Kind::away, "No space left on device");
  full.error.sqlstate = "53100";
  health_.set_stall(0, full);
  EXPECT_EQ(snapshot().state, PipelineState::backoff);
  EXPECT_TRUE(snapshot().breaker_open);
  EXPECT_TRUE(snapshot().database_reachable);
  full.error.sqlstate = "57P03";
  health_.set_stall(0, full);
  EXPECT_FALSE(snapshot().database_reachable) << "it starts up";
  full.error.kind = ErrorKind::data;
  health_.set_stall(0, full);
  EXPECT_TRUE(snapshot().database_reachable) << "a trigger says so";
}

TEST_F(HealthTest, IsNotRunningWhereEveryBrokerIsAway) {
  partitions_.resize(1);
  partitions_[0].waiting_reason = "waiting for the leader of t[0]";
  EXPECT_EQ(snapshot().state, PipelineState::starting);
  partitions_[0].epoch = Epoch{3};
  EXPECT_EQ(snapshot().state, PipelineState::backoff);
  EXPECT_EQ(snapshot().state_reason, "waiting for the leader of t[0]");
  EXPECT_TRUE(snapshot().database_reachable);
}

TEST_F(HealthTest, BacksOffUntilEveryLaneIsBack) {
  health_.set_stall(0, stall(Stall::Kind::away, "gone"));
  health_.set_stall(1, stall(Stall::Kind::away, "gone too"));
  EXPECT_EQ(snapshot().state, PipelineState::backoff);
  EXPECT_TRUE(snapshot().breaker_open);
  EXPECT_FALSE(snapshot().database_reachable);
  EXPECT_TRUE(health_.database_unusable());
  health_.set_stall(0, std::nullopt);
  EXPECT_EQ(snapshot().state, PipelineState::backoff);
  EXPECT_EQ(health_.stall_reason(0), "");
  EXPECT_EQ(health_.stall_reason(1), "gone too");
  health_.set_stall(1, std::nullopt);
  EXPECT_EQ(snapshot().state, PipelineState::running);
  EXPECT_EQ(snapshot().last_error, "gone too");
}

TEST_F(HealthTest, IsPausedByAConfigurationErrorOfAnyLaneUntilItPasses) {
  health_.set_stall(0, stall(Stall::Kind::away, "gone"));
  health_.set_stall(1, stall(Stall::Kind::configuration, "no such table"));
  EXPECT_EQ(snapshot().state, PipelineState::paused);
  EXPECT_EQ(snapshot().state_reason, "no such table");
  EXPECT_FALSE(snapshot().paused_by_user);
  health_.set_stall(1, std::nullopt);
  EXPECT_EQ(snapshot().state, PipelineState::backoff);
}

TEST_F(HealthTest, SaysWhyTheTableDoesNotFitInPlaceOfWhatPostgresqlSays) {
  health_.set_misfit(Error{ErrorKind::conflict, "there is no column 'x'", {}, {}});
  EXPECT_EQ(snapshot().state, PipelineState::running) << "nothing waits for it";
  health_.set_stall(0, stall(Stall::Kind::configuration, "changed"));
  EXPECT_EQ(snapshot().state_reason, "there is no column 'x'");
  EXPECT_EQ(health_.stall_reason(0), "there is no column 'x'");
  health_.set_misfit(std::nullopt);
  EXPECT_EQ(snapshot().state_reason, "changed");
  health_.set_misfit(Error{ErrorKind::conflict, "there is no column 'x'", {}, {}});
  health_.set_stall(0, std::nullopt);
  health_.set_stall(0, stall(Stall::Kind::configuration, "gone"));
  EXPECT_EQ(snapshot().state_reason, "gone") << "that was another stall";
}

TEST_F(HealthTest, GoesOnReadingWhileALaneWaitsForALock) {
  health_.set_stall(0, stall(Stall::Kind::waits, "a lock held by pid 7"));
  EXPECT_FALSE(health_.database_unusable());
  EXPECT_EQ(snapshot().state, PipelineState::running);
  EXPECT_EQ(snapshot().state_reason, "a lock held by pid 7");
  EXPECT_TRUE(snapshot().database_reachable);
}

TEST_F(HealthTest, ShowsAPersonsPauseWithItsReason) {
  EXPECT_TRUE(health_.pause("maintenance"));
  EXPECT_FALSE(health_.pause("maintenance"));
  EXPECT_EQ(snapshot().state, PipelineState::paused);
  EXPECT_TRUE(
      snapshot().state_reason.starts_with("maintenance (paused by a person, in this "
                                          "process alone: "))
      << snapshot().state_reason;
  EXPECT_TRUE(snapshot().paused_by_user);
  health_.resume();
  EXPECT_EQ(snapshot().state, PipelineState::running);
}

TEST_F(HealthTest, DrainsUntilTheLastOfSeveralDrainsHasEnded) {
  health_.begin_drain();
  health_.begin_drain();
  health_.end_drain();
  EXPECT_EQ(snapshot().state, PipelineState::draining);
  health_.end_drain();
  EXPECT_EQ(snapshot().state, PipelineState::running);
}

TEST_F(HealthTest, HasFailedWhenOnlyARestartHelps) {
  fatal_ = Error{ErrorKind::unavailable, "fenced by another instance of that id", {}, {}};
  EXPECT_EQ(snapshot().state, PipelineState::failed);
  EXPECT_EQ(snapshot().state_reason, "fenced by another instance of that id");
}

TEST_F(HealthTest, HasFailedWhenEveryPartitionIsBlocked) {
  partitions_.resize(2);
  partitions_[0].blocked_reason = "not in the log";
  EXPECT_EQ(snapshot().state, PipelineState::running);
  partitions_[1].blocked_reason = "another topic";
  EXPECT_EQ(snapshot().state, PipelineState::failed);
}

}  // namespace
}  // namespace penstock::flow
