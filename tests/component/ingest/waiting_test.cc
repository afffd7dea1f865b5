// What may wait does not keep anything else waiting: claims, questions to the cluster, revokes, the
// way out of the group, the other consumers of a poller.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "component/ingest/fake_pipeline.h"
#include "component/ingest/mock_cluster.h"
#include "ingest/consumer.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

constexpr PartitionId kFirst{0, 0};

class WaitingTest : public testing::Test {
 protected:
  ConsumerOptions options(const std::string& group = "group", const std::string& topic = "orders") {
    ConsumerOptions options = orders_options(cluster.properties());
    options.topics = {topic};
    options.group = group;
    options.properties["heartbeat.interval.ms"] = "100";
    options.properties["session.timeout.ms"] = "1000";
    return options;
  }

  // Until the poller has come round for this long.
  static bool polls_for(FakePipeline& pipeline, milliseconds time) {
    const SteadyTime begin = pipeline.consumer().heartbeat();
    return eventually([&] { return pipeline.consumer().heartbeat() > begin + time; });
  }

  // Who is told to stop within a few seconds, and takes longer than this, waits for what does not
  // come.
  static constexpr milliseconds kHangs{20'000};

  MockCluster cluster;
  FakeStore store;
};

std::string what_it_waits_for(FakePipeline& pipeline) {
  std::string text;
  for (const AssignedPartition& partition : pipeline.consumer().partitions()) {
    text += partition.topic + "[" + std::to_string(partition.id.partition) + "] at " +
            std::to_string(partition.position) + " of " + std::to_string(partition.high_watermark) +
            " '" + partition.waiting_reason + partition.blocked_reason + "' ";
  }
  for (const auto& call : pipeline.calls()) text += std::string(call) + " ";
  return text;
}

TEST_F(WaitingTest, PollsOnForAllWhileAClaimHangs) {
  cluster.create_topic("orders", 1);
  cluster.create_topic("payments", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakeProcess process;
  FakeStore healthy;
  FakePipeline hanging(store, options(), std::size_t{64} << 20, &process);
  FakePipeline other(healthy, options("other", "payments"), std::size_t{64} << 20, &process);
  store.hold_claims(true);
  ASSERT_TRUE(hanging.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.claims_held() == 1; }));
  EXPECT_EQ(hanging.waiting_reason(kFirst), "waiting for claim");
  ASSERT_TRUE(other.consumer().start());
  // Longer than the session: it stays a member.
  const SteadyTime begin = std::chrono::steady_clock::now();
  int records = 0;
  while (std::chrono::steady_clock::now() < begin + milliseconds(2500)) {
    cluster.produce("payments", 0, std::to_string(records++));
    ASSERT_TRUE(
        eventually([&] { return healthy.row_count() == static_cast<std::size_t>(records); }));
    ASSERT_TRUE(polls_for(hanging, milliseconds(0)));
  }
  EXPECT_EQ(store.claims_held(), 1);
  EXPECT_TRUE(hanging.consumer().joined());
  EXPECT_FALSE(hanging.called("lost"));
  store.hold_claims(false);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

TEST_F(WaitingTest, StopsWhileAClaimHangs) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  store.hold_claims(true);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.claims_held() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  pipeline.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(9000)) << "it may take 10 s";
  EXPECT_EQ(store.claims_held(), 0);
}

TEST_F(WaitingTest, StaysAMemberAndPollsWhileARevokeWaitsForWhatIsInFlight) {
  cluster.create_topic("orders", 2);
  cluster.create_topic("payments", 1);
  FakeProcess process;
  FakeStore healthy;
  ConsumerOptions patient = options();
  patient.drain_timeout = milliseconds(25'000);
  patient.properties["session.timeout.ms"] = "3000";
  // The mock cluster has a group for complete as soon as its leader has shared it out: whoever asks
  // later is refused and joins again, and who has to revoke something first is thrown out then. So
  // the second one leads, which has nothing to revoke: the smaller name.
  patient.properties["group.instance.id"] = "b";
  FakePipeline first(store, patient, std::size_t{64} << 20, &process);
  FakePipeline other(healthy, options("other", "payments"), std::size_t{64} << 20, &process);
  first.hold(true);
  ASSERT_TRUE(other.consumer().start());
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.partitions_reading() == 2; }));
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return first.consumer().stats().records.value() == 20; }));
  patient.properties["group.instance.id"] = "a";
  FakePipeline second(store, patient);
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.called("hurried"); }));

  // Two session timeouts.
  ASSERT_TRUE(polls_for(first, milliseconds(6000)));
  cluster.produce_many("payments", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return healthy.row_count() == 10; }));
  EXPECT_FALSE(first.called("revoked"));
  EXPECT_FALSE(first.called("lost"));
  EXPECT_EQ(second.partitions_reading(), 0U);
  first.hold(false);
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  EXPECT_EQ(store.row_count(), 20U) << "it was not fenced";
  EXPECT_FALSE(first.called("lost"));
  EXPECT_EQ(value_of(store.epoch({0, 0})) + value_of(store.epoch({0, 1})), 3);
}

TEST_F(WaitingTest, GivesPartitionsBackAtOnceWhileNothingCanBeCommitted) {
  cluster.create_topic("orders", 2);
  ConsumerOptions patient = options();
  patient.drain_timeout = milliseconds(60'000);
  FakePipeline first(store, patient);
  first.hold(true);
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.partitions_reading() == 2; }));
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return first.consumer().stats().records.value() == 20; }));
  first.consumer().pause(PauseReason::breaker);
  FakePipeline second(store, options());
  ASSERT_TRUE(second.consumer().start());
  EXPECT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  EXPECT_TRUE(first.called("revoked"));
  first.hold(false);
}

TEST_F(WaitingTest, ReadsTheOthersAtOnceWhenSomeOfFiftyHaveNoLeader) {
  cluster.create_topic("orders", 50);
  for (int partition = 0; partition < 50; ++partition) {
    cluster.produce_many("orders", partition, 0, 1);
  }
  // Each of them would cost a second, if they were asked about one after the other.
  constexpr int kLeaderless = 20;
  for (int partition = 0; partition < kLeaderless; ++partition) {
    cluster.set_leader("orders", partition, -1);
  }
  FakePipeline pipeline(store, options());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 50 - kLeaderless; }));
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("others_read_ms",
                 static_cast<int>(std::chrono::duration_cast<milliseconds>(took).count()));
  EXPECT_LT(took, milliseconds(kLeaderless * 1000 / 2));
  ASSERT_TRUE(eventually([&] { return pipeline.waiting_reason({0, 7}).contains("eader"); }))
      << pipeline.waiting_reason({0, 7});
  EXPECT_EQ(pipeline.waiting_reason({0, kLeaderless}), "");
  for (int partition = 0; partition < kLeaderless; ++partition) {
    cluster.set_leader("orders", partition, 1);
  }
  ASSERT_TRUE(eventually([&] { return store.row_count() == 50; }));
}

TEST_F(WaitingTest, SaysThatTheLeaderOfAPartitionIsAway) {
  MockCluster two(2);
  two.create_topic("orders", 2);
  two.set_leader("orders", 0, 1);
  two.set_leader("orders", 1, 2);
  ConsumerOptions lasting = options();
  lasting.properties["bootstrap.servers"] = two.properties().at("bootstrap.servers");
  FakePipeline pipeline(store, lasting);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  two.set_down(2);
  ASSERT_TRUE(eventually([&] {
    return pipeline.waiting_reason({0, 1}).starts_with("waiting for the leader of orders[1]");
  }));
  EXPECT_EQ(pipeline.waiting_reason({0, 0}), "");
  two.set_leader("orders", 1, 1);
  two.produce_many("orders", 1, 0, 5);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 5; }));
  ASSERT_TRUE(eventually([&] { return pipeline.waiting_reason({0, 1}).empty(); }));
}

TEST_F(WaitingTest, SaysWhoHoldsTheRowOfAClaim) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 5);
  cluster.produce_many("orders", 1, 0, 5);
  store.keep_waiting(kFirst, "the row is locked by process 42");
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 5; }));
  ASSERT_TRUE(eventually([&] {
    return pipeline.waiting_reason(kFirst) == "waiting for claim: the row is locked by process 42";
  }));
  store.keep_waiting(kFirst, "");
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

TEST_F(WaitingTest, StopsInTimeWithABrokerThatNeverWasThere) {
  ConsumerOptions nowhere = options();
  nowhere.properties["bootstrap.servers"] = "127.0.0.1:1";
  FakePipeline pipeline(store, nowhere);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().last_error().has_value(); }));
  const auto begin = std::chrono::steady_clock::now();
  pipeline.consumer().stop(milliseconds(3000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kHangs);
}

TEST_F(WaitingTest, StopsInTimeWithABrokerThatWentAway) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 5);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 5; }));
  cluster.set_down(1);
  const auto begin = std::chrono::steady_clock::now();
  pipeline.consumer().stop(milliseconds(2000));
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("stopped_ms",
                 static_cast<int>(std::chrono::duration_cast<milliseconds>(took).count()));
  EXPECT_LT(took, kHangs);
  EXPECT_TRUE(pipeline.called("stopped"));
}

TEST_F(WaitingTest, StopsInTimeWithABrokerThatSaysNothing) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 5);
  ConsumerOptions lasting = options();
  lasting.properties["session.timeout.ms"] = "30000";
  FakePipeline pipeline(store, lasting);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 5; }));
  cluster.answer_after(milliseconds(60'000));
  pipeline.consumer().mirror(pipeline.chain_of(kFirst), 5);
  const auto begin = std::chrono::steady_clock::now();
  pipeline.consumer().stop(milliseconds(2000));
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("stopped_ms",
                 static_cast<int>(std::chrono::duration_cast<milliseconds>(took).count()));
  EXPECT_LT(took, kHangs);
  EXPECT_TRUE(pipeline.called("stopped"));
  EXPECT_EQ(store.released(), 1U) << "the database is not the broker";
}

TEST_F(WaitingTest, ReadsForManyOnOneThread) {
  constexpr int kConsumers = 8;
  FakeProcess process;
  std::vector<std::unique_ptr<FakeStore>> stores;
  std::vector<std::unique_ptr<FakePipeline>> pipelines;
  for (int i = 0; i < kConsumers; ++i) {
    const std::string topic = "topic" + std::to_string(i);
    cluster.create_topic(topic, 2);
    cluster.produce_many(topic, 0, 0, 2000);
    stores.push_back(std::make_unique<FakeStore>());
    pipelines.push_back(std::make_unique<FakePipeline>(*stores.back(),
                                                       options("group" + std::to_string(i), topic),
                                                       std::size_t{64} << 20, &process));
    ASSERT_TRUE(pipelines.back()->consumer().start());
  }
  for (int i = 0; i < kConsumers; ++i) {
    ASSERT_TRUE(eventually([&] {
      return stores[static_cast<std::size_t>(i)]->row_count() == 2000;
    })) << i;
  }
  // One leaves, the others go on.
  pipelines.front().reset();
  cluster.produce_many("topic1", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return stores[1]->row_count() == 2010; }));
}

TEST_F(WaitingTest, ThrowsAwayAnAnswerForWhatWasRevokedMeanwhile) {
  cluster.create_topic("orders", 2);
  store.set_position({0, 0}, 0);
  store.set_position({0, 1}, 0);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  store.hold_claims(true);
  ConsumerOptions eager = options();
  eager.properties["partition.assignment.strategy"] = "range";
  FakePipeline first(store, eager);
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.claims_held() == 1; }));
  FakePipeline second(store, eager);
  ASSERT_TRUE(second.consumer().start());
  // Everything was revoked, and each got one: its claim waits, too, or for the first's.
  ASSERT_TRUE(eventually([&] {
    return first.consumer().partitions().size() == 1 && second.consumer().partitions().size() == 1;
  }));
  EXPECT_FALSE(first.called("claimed"));
  store.hold_claims(false);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }))
      << "first: " << what_it_waits_for(first) << "\nsecond: " << what_it_waits_for(second);
  store.expect_in_order();
  ASSERT_TRUE(eventually(
      [&] { return first.partitions_reading() == 1 && second.partitions_reading() == 1; }));
  EXPECT_EQ(std::ranges::count(first.calls(), "claimed"), 1);
}

TEST_F(WaitingTest, ClaimsAThousandPartitionsInOneCall) {
  constexpr int kPartitions = 1000;
  cluster.create_topic("orders", kPartitions);
  ConsumerOptions lasting = options();
  lasting.properties["session.timeout.ms"] = "10000";
  FakePipeline pipeline(store, lasting);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == kPartitions; }));
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("reading_ms",
                 static_cast<int>(std::chrono::duration_cast<milliseconds>(took).count()));
  EXPECT_EQ(store.calls(), 2) << "once without, once with where to begin";
  cluster.produce_many("orders", 999, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

}  // namespace
}  // namespace penstock::ingest
