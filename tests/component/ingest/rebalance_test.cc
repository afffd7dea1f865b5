// Consumers that share a group: who drains, who loses, who waits, and that nothing is lost or
// twice.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "component/ingest/fake_pipeline.h"
#include "component/ingest/mock_cluster.h"
#include "ingest/consumer.h"

namespace penstock::ingest {
namespace {

constexpr PartitionId kFirst{0, 0};

class FrozenClock : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return now_; }

 private:
  SteadyTime now_ = std::chrono::steady_clock::now();
};

class RebalanceTest : public testing::Test {
 protected:
  [[nodiscard]] ConsumerOptions options() const { return orders_options(cluster.properties()); }

  void a_second_consumer_joins_and_leaves(const ConsumerOptions& shared) {
    constexpr int kPartitions = 4;
    constexpr int kRounds = 10;
    constexpr int kRecords = 500;
    cluster.create_topic("orders", kPartitions);
    FakePipeline first(store, shared);
    ASSERT_TRUE(first.consumer().start());
    ASSERT_TRUE(eventually([&] { return first.partitions_reading() == kPartitions; }));
    const auto produce = [&](int round) {
      for (int partition = 0; partition < kPartitions; ++partition) {
        cluster.produce_many("orders", partition, round * kRecords, kRecords);
      }
    };
    int round = 0;
    while (round < kRounds / 2) produce(round++);
    {
      FakePipeline second(store, shared);
      ASSERT_TRUE(second.consumer().start());
      produce(round++);
      ASSERT_TRUE(eventually(
          [&] { return first.partitions_reading() == 2 && second.partitions_reading() == 2; }));
      produce(round++);
      const auto before = static_cast<std::size_t>(round) * kPartitions * kRecords;
      ASSERT_TRUE(eventually([&] { return store.row_count() == before; }));
      EXPECT_GT(second.consumer().stats().records.value(), 0U);
    }
    while (round < kRounds) produce(round++);
    ASSERT_TRUE(eventually([&] { return first.partitions_reading() == kPartitions; }));
    const auto all = static_cast<std::size_t>(kRounds * kPartitions * kRecords);
    ASSERT_TRUE(eventually([&] { return store.row_count() == all; }));
    store.expect_in_order();
    EXPECT_TRUE(first.called("hurried"));
    EXPECT_TRUE(first.called("revoked"));
    EXPECT_GT(store.released(), 0U);
    EXPECT_FALSE(first.called("lost"));
  }

  // The group no longer knows us: what a process hears that slept past its session timeout.
  void lose_the_session() {
    constexpr std::int16_t kHeartbeat = 12;
    cluster.fail_requests(kHeartbeat, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, 1);
  }

  // librdkafka remembers a pause beyond the assignment in which it was asked for.
  void what_waited_for_a_claim_is_lost_and_comes_back(ConsumerOptions shared) {
    cluster.create_topic("orders", 1);
    cluster.produce_many("orders", 0, 0, 10);
    store.set_position(kFirst, 4);
    store.fail_claims(1);
    const FrozenClock clock;  // the claim is never tried again: only a new assignment asks for one
    shared.clock = &clock;
    FakePipeline pipeline(store, shared);
    ASSERT_TRUE(pipeline.consumer().start());
    ASSERT_TRUE(
        eventually([&] { return pipeline.consumer().stats().claim_failures.value() == 1; }));
    ASSERT_TRUE(eventually([&] { return pipeline.consumer().joined(); }));
    lose_the_session();
    ASSERT_TRUE(eventually([&] { return store.epoch(kFirst) == Epoch{1}; }));
    ASSERT_TRUE(eventually([&] { return store.row_count() == 6; })) << "it stands still";
    cluster.produce_many("orders", 0, 10, 10);
    ASSERT_TRUE(eventually([&] { return store.row_count() == 16; }));
    store.expect_in_order(4);
    EXPECT_EQ(pipeline.consumer().stats().claim_failures.value(), 1U);
  }

  MockCluster cluster;
  FakeStore store;
};

TEST_F(RebalanceTest, LosesAndDoublesNothingWhenPartitionsMoveCooperatively) {
  a_second_consumer_joins_and_leaves(options());
}

TEST_F(RebalanceTest, LosesAndDoublesNothingWhenPartitionsMoveEagerly) {
  ConsumerOptions eager = options();
  eager.properties["partition.assignment.strategy"] = "range";
  a_second_consumer_joins_and_leaves(eager);
}

TEST_F(RebalanceTest, DrainsBeforeItGivesPartitionsBack) {
  cluster.create_topic("orders", 2);
  FakePipeline first(store, options());
  first.hold(true);
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.partitions_reading() == 2; }));
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return first.consumer().stats().records.value() == 20; }));

  FakePipeline second(store, options());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.called("hurried"); }));
  EXPECT_FALSE(first.called("revoked"));
  EXPECT_EQ(second.partitions_reading(), 0U);
  first.hold(false);
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  EXPECT_EQ(store.row_count(), 20U);
  const std::vector<std::string> calls = first.calls();
  const std::vector<std::string> last(calls.end() - 2, calls.end());
  const std::vector<std::string> expected{"hurried", "revoked"};
  EXPECT_EQ(last, expected);
  ASSERT_TRUE(eventually([&] { return store.released() == 1; }));
}

TEST_F(RebalanceTest, GivesPartitionsBackWhenTheDrainTakesTooLong) {
  cluster.create_topic("orders", 2);
  ConsumerOptions impatient = options();
  impatient.drain_timeout = std::chrono::milliseconds(50);
  FakePipeline first(store, impatient);
  first.hold(true);
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.partitions_reading() == 2; }));
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return first.consumer().stats().records.value() == 20; }));
  FakePipeline second(store, options());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  // The new owner reads what the old one did not commit; the fence stops the old one's batches.
  first.hold(false);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  ASSERT_TRUE(eventually([&] { return first.held_batches() == 0; }));
  EXPECT_EQ(store.row_count(), 20U);
  store.expect_in_order();
}

TEST_F(RebalanceTest, DiscardsEverythingWhenPartitionsAreLost) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  lose_the_session();
  ASSERT_TRUE(eventually([&] { return pipeline.called("lost"); }));
  EXPECT_FALSE(pipeline.called("hurried"));
  EXPECT_EQ(store.released(), 0U);
  // Until the partition is dropped the consumer still counts it as read: the new claim tells.
  ASSERT_TRUE(eventually([&] { return store.epoch(kFirst) == Epoch{2}; }));
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  store.expect_in_order();
}

TEST_F(RebalanceTest, ClaimsLaterWhenTheDatabaseIsAway) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  store.set_position(kFirst, 4);
  store.fail_claims(3);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  bool waiting = false;
  ASSERT_TRUE(eventually([&] {
    for (const AssignedPartition& partition : pipeline.consumer().partitions()) {
      waiting |= partition.waiting_reason.starts_with("waiting for claim: the database is away");
      EXPECT_EQ(partition.blocked_reason, "") << "it needs nobody";
    }
    return store.row_count() == 16;
  }));
  EXPECT_TRUE(waiting);
  EXPECT_EQ(store.position({0, 0}), 10);
  EXPECT_EQ(store.position({0, 1}), 10);
  EXPECT_GE(pipeline.consumer().stats().claim_failures.value(), 3U);
  EXPECT_EQ(pipeline.partitions_reading(), 2U);
  // And they go on.
  cluster.produce_many("orders", 0, 10, 10);
  ASSERT_TRUE(eventually([&] { return store.position({0, 0}) == 20; }));
}

TEST_F(RebalanceTest, ReadsWhatWaitedForAClaimWhenItIsLostAndComesBack) {
  what_waited_for_a_claim_is_lost_and_comes_back(options());
}

TEST_F(RebalanceTest, ReadsWhatWaitedForAClaimWhenItIsLostAndComesBackEagerly) {
  ConsumerOptions eager = options();
  eager.properties["partition.assignment.strategy"] = "range";
  what_waited_for_a_claim_is_lost_and_comes_back(eager);
}

TEST_F(RebalanceTest, ReadsWhatWaitedForAClaimWhenItWasWithAnotherMeanwhile) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  store.fail_claims(1);
  const FrozenClock clock;
  ConsumerOptions patient = options();
  patient.clock = &clock;
  // It gives up everything for each new generation, so that both partitions are assigned again.
  patient.properties["partition.assignment.strategy"] = "range";
  FakePipeline first(store, patient);
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.consumer().stats().claim_failures.value() == 2; }));
  ConsumerOptions eager = options();
  eager.properties["partition.assignment.strategy"] = "range";
  {
    FakePipeline second(store, eager);
    ASSERT_TRUE(second.consumer().start());
    ASSERT_TRUE(eventually([&] { return store.row_count() == 20; })) << "one each";
  }
  cluster.produce_many("orders", 0, 10, 10);
  cluster.produce_many("orders", 1, 10, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 40; }));
  store.expect_in_order();
}

TEST_F(RebalanceTest, ReadsWhatWasBlockedWhenItComesBackWithoutTheReason) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  store.refuse(kFirst, "the topic was made anew");
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return !pipeline.blocked_reason(kFirst).empty(); }));
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().joined(); }));
  store.refuse(kFirst, "");  // a person has acted
  lose_the_session();
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; })) << "it stands still";
  store.expect_in_order();
}

TEST_F(RebalanceTest, BlocksAPartitionWhoseClaimIsRefusedAndReadsTheOthers) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  store.refuse(kFirst, "the topic was made anew");
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  const auto partitions = pipeline.consumer().partitions();
  ASSERT_EQ(partitions.size(), 2U);
  EXPECT_EQ(partitions[0].blocked_reason, "the topic was made anew");
  EXPECT_EQ(partitions[0].waiting_reason, "");
  EXPECT_EQ(partitions[1].blocked_reason, "");
}

TEST_F(RebalanceTest, BlocksAPartitionWhosePositionIsBeyondTheLog) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  store.set_position(kFirst, 500);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.position({0, 1}) == 10; }));
  ASSERT_TRUE(eventually([&] { return pipeline.blocked_reason(kFirst).contains("which holds"); }));
  const std::string reason = pipeline.blocked_reason(kFirst);
  EXPECT_NE(reason.find("position 500"), std::string::npos) << reason;
  EXPECT_NE(reason.find("0 to 10"), std::string::npos) << reason;
  EXPECT_NE(reason.find("penstock offsets reset"), std::string::npos) << reason;
  EXPECT_EQ(store.position(kFirst), 500);
}

TEST_F(RebalanceTest, ClaimsAnewAndReadsAgainAfterAFence) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  pipeline.reclaim_when_fenced = true;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  store.steal(kFirst);
  cluster.produce_many("orders", 0, 10, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  store.expect_in_order();
  EXPECT_EQ(store.epoch(kFirst), Epoch{3});
}

TEST_F(RebalanceTest, IgnoresAReclaimOfAnotherChain) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  const auto other = std::make_shared<Chain>(kFirst, Epoch{1}, 0, nullptr);
  pipeline.consumer().reclaim(other, false);
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  EXPECT_EQ(store.epoch(kFirst), Epoch{1});
}

TEST_F(RebalanceTest, WaitsForTheGroupBeforeItTakesAPartitionBackFromAnotherOwner) {
  cluster.create_topic("orders", 2);
  // For it the session timeout never passes: only the group's word counts.
  const FrozenClock clock;
  ConsumerOptions patient = options();
  patient.clock = &clock;
  FakePipeline pipeline(store, patient);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  store.steal(kFirst);
  const int calls = store.calls();
  pipeline.consumer().reclaim(pipeline.chain_of(kFirst), /*foreign_owner=*/true);
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  const SteadyTime fenced = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually(
      [&] { return pipeline.consumer().heartbeat() > fenced + std::chrono::milliseconds(300); }));
  EXPECT_EQ(store.calls(), calls) << "it asked for it";
  EXPECT_EQ(store.epoch(kFirst), Epoch{2});
  // Another member comes and goes: the group confirms who owns what.
  {
    FakePipeline second(store, options());
    ASSERT_TRUE(second.consumer().start());
    ASSERT_TRUE(eventually([&] { return second.consumer().joined(); }));
    ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  }
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  EXPECT_GT(value_of(store.epoch(kFirst)), 2);
}

TEST_F(RebalanceTest, TakesItBackAfterTheSessionTimeoutWhenTheGroupSaysNothing) {
  cluster.create_topic("orders", 1);
  ConsumerOptions quick = options();
  quick.properties["session.timeout.ms"] = "300";
  quick.properties["heartbeat.interval.ms"] = "50";
  FakePipeline pipeline(store, quick);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  store.steal(kFirst);
  pipeline.consumer().reclaim(pipeline.chain_of(kFirst), /*foreign_owner=*/true);
  ASSERT_TRUE(eventually([&] { return store.epoch(kFirst) == Epoch{3}; }));
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

}  // namespace
}  // namespace penstock::ingest
