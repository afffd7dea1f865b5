// Exceptions, drains, mirrors: what others do wrong, and what is promised to them.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "component/ingest/fake_pipeline.h"
#include "component/ingest/mock_cluster.h"
#include "core/log.h"
#include "ingest/consumer.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

constexpr PartitionId kFirst{0, 0};

class TroubleTest : public testing::Test {
 protected:
  [[nodiscard]] ConsumerOptions options() const { return orders_options(cluster.properties()); }

  MockCluster cluster;
  FakeStore store;
};

TEST_F(TroubleTest, ClaimsAgainWhenTheStoreThrows) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  store.throw_in_claims(2);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  bool told = false;
  ASSERT_TRUE(eventually([&] {
    told |= pipeline.waiting_reason(kFirst).contains("the store has a bug");
    return store.row_count() == 10;
  }));
  EXPECT_TRUE(told);
  EXPECT_EQ(pipeline.consumer().stats().claim_failures.value(), 2U);
}

TEST_F(TroubleTest, ClaimsAgainWhenAClaimCouldNotBeTakenIn) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakePipeline pipeline(store, options());
  pipeline.throw_in_claimed = 1;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  EXPECT_EQ(store.epoch(kFirst), Epoch{2});
  EXPECT_FALSE(pipeline.consumer().fatal().has_value());
}

TEST_F(TroubleTest, GivesPartitionsBackThoughAnExceptionIsInTheWay) {
  cluster.create_topic("orders", 2);
  FakePipeline first(store, options());
  first.throw_in_hurried = 1;
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(eventually([&] { return first.partitions_reading() == 2; }));
  FakePipeline second(store, options());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  EXPECT_TRUE(first.called("revoked"));
  ASSERT_TRUE(first.consumer().last_error().has_value());
  EXPECT_NE(first.consumer().last_error()->message.find("the flow has a bug"), std::string::npos);
}

// Throws for the first log line of an event: anything in a callback may.
class ThrowingLog {
 public:
  explicit ThrowingLog(std::string event) {
    set_log_sink([this, event = std::move(event)](LogLevel, std::string_view name,
                                                  std::span<const LogField>) {
      if (name == event && !thrown_.exchange(true)) throw std::runtime_error("there is no room");
    });
  }
  ~ThrowingLog() { set_log_sink({}); }
  ThrowingLog(const ThrowingLog&) = delete;
  ThrowingLog& operator=(const ThrowingLog&) = delete;
  [[nodiscard]] bool thrown() const { return thrown_; }

 private:
  std::atomic<bool> thrown_{false};
};

TEST_F(TroubleTest, ReadsWhatWasAssignedThoughTheRebalanceFailed) {
  const ThrowingLog log("rebalance");
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  EXPECT_TRUE(log.thrown());
  store.expect_in_order();
  EXPECT_FALSE(pipeline.consumer().fatal().has_value());
}

TEST_F(TroubleTest, ComesBackThoughTheRebalanceFailedInWhichItLostEverything) {
  const ThrowingLog log("partition_lost");
  cluster.create_topic("orders", 2);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  constexpr std::int16_t kHeartbeat = 12;
  cluster.fail_requests(kHeartbeat, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, 1);
  ASSERT_TRUE(eventually([&] { return log.thrown(); }));
  ASSERT_TRUE(eventually([&] { return store.epoch({0, 0}) == Epoch{2}; }));
  EXPECT_EQ(std::ranges::count(pipeline.calls(), "lost"), 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  EXPECT_FALSE(pipeline.consumer().fatal().has_value());
}

TEST_F(TroubleTest, EndsOnlyTheConsumerWhoseRoundFails) {
  cluster.create_topic("orders", 1);
  cluster.create_topic("payments", 1);
  FakeProcess process;
  FakeStore healthy;
  FakePipeline failing(store, options(), std::size_t{64} << 20, &process);
  ConsumerOptions others = options();
  others.topics = {"payments"};
  others.group = "other";
  FakePipeline other(healthy, others, std::size_t{64} << 20, &process);
  failing.throw_in_accept = true;
  ASSERT_TRUE(failing.consumer().start());
  ASSERT_TRUE(other.consumer().start());
  cluster.produce_many("orders", 0, 0, 1);
  ASSERT_TRUE(eventually([&] { return failing.consumer().fatal().has_value(); }));
  EXPECT_NE(failing.consumer().fatal()->message.find("the sink has a bug"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return !failing.consumer().joined(); }));
  EXPECT_TRUE(eventually([&] { return failing.called("stopped"); }));
  cluster.produce_many("payments", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return healthy.row_count() == 10; }));
}

TEST_F(TroubleTest, HasHandedOnWhatItPolledWhenItSaysSo) {
  cluster.create_topic("orders", 4);
  for (int partition = 0; partition < 4; ++partition) {
    cluster.produce_many("orders", partition, 0, 20'000);
  }
  for (int round = 0; round < 5; ++round) {
    FakeStore fresh;
    ConsumerOptions one = options();
    one.group = "group" + std::to_string(round);
    FakePipeline pipeline(fresh, one);
    ASSERT_TRUE(pipeline.consumer().start());
    ASSERT_TRUE(eventually([&] { return fresh.row_count() > 0; }));
    pipeline.consumer().pause(PauseReason::user);
    const std::uint64_t ticket = pipeline.consumer().flush();
    ASSERT_TRUE(eventually([&] { return pipeline.consumer().flushed(ticket); }));
    ASSERT_TRUE(pipeline.in_flight().wait_empty(std::chrono::steady_clock::now() +
                                                std::chrono::seconds(30)));
    const std::size_t rows = fresh.row_count();
    EXPECT_EQ(rows, pipeline.consumer().stats().records.value());
    const SteadyTime drained = pipeline.consumer().heartbeat();
    ASSERT_TRUE(
        eventually([&] { return pipeline.consumer().heartbeat() > drained + milliseconds(200); }));
    EXPECT_EQ(fresh.row_count(), rows) << "something came after it";
  }
}

TEST_F(TroubleTest, DoesNotSaySoWhileABatchIsStillOpen) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 20'000);
  ConsumerOptions small = options();
  small.batch_records = 100;
  FakePipeline pipeline(store, small);
  pipeline.stop_at_accept();
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.waits_in_accept(); }));
  // librdkafka fetches ahead meanwhile: the rounds after this one take as much as a round may,
  // which is more than fills batches.
  cluster.produce_many("orders", 0, 20'000, 20'000);
  for (int i = 0; i < 11; ++i) {
    pipeline.let_in();
    ASSERT_TRUE(eventually([&] { return pipeline.waits_in_accept(); }));
  }
  // In the middle of such a round: what does not fill a batch is open when it ends.
  pipeline.consumer().pause(PauseReason::user);
  const std::uint64_t ticket = pipeline.consumer().flush();
  int batches = 0;
  const auto waits_or_flushed = [&] {
    return pipeline.waits_in_accept() || pipeline.consumer().flushed(ticket);
  };
  while (pipeline.waits_in_accept()) {
    ASSERT_FALSE(pipeline.consumer().flushed(ticket)) << "batch " << batches << " is on its way";
    pipeline.let_in();
    ++batches;
    ASSERT_TRUE(eventually(waits_or_flushed));
  }
  EXPECT_GE(batches, 1);
  // The poller comes round: it does not wait in accept().
  const SteadyTime flushed = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().heartbeat() > flushed; }))
      << "a batch came afterwards";
  ASSERT_TRUE(
      eventually([&] { return store.row_count() == pipeline.consumer().stats().records.value(); }));
}

TEST_F(TroubleTest, FlushesWithoutAPauseToo) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  const std::uint64_t first = pipeline.consumer().flush();
  const std::uint64_t second = pipeline.consumer().flush();
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().flushed(second); }));
  EXPECT_TRUE(pipeline.consumer().flushed(first));
  EXPECT_FALSE(pipeline.consumer().flushed(second + 1)) << "nobody asked for it";
}

TEST_F(TroubleTest, MirrorsThePositionOfAPartitionToWhichNothingComes) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  store.set_position(kFirst, 10);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.mirrored_offsets().size() == 2; }));
  EXPECT_EQ(cluster.committed("group", "orders", 0), 10);
  EXPECT_EQ(cluster.committed("group", "orders", 1), 0);
}

TEST_F(TroubleTest, DropsTheMirrorOfAChainThatIsNotTheCurrentOne) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakePipeline pipeline(store, options());
  pipeline.reclaim_when_fenced = true;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  const std::shared_ptr<Chain> old = pipeline.chain_of(kFirst);
  store.steal(kFirst);
  cluster.produce_many("orders", 0, 10, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  ASSERT_NE(pipeline.chain_of(kFirst), old);
  pipeline.consumer().mirror(pipeline.chain_of(kFirst), 20);
  ASSERT_TRUE(eventually([&] { return pipeline.mirrored_offsets()[kFirst] == 20; }));
  const std::uint64_t mirrored = pipeline.consumer().stats().mirrored.value();
  pipeline.consumer().mirror(old, 5);
  const SteadyTime noted = pipeline.consumer().heartbeat();
  ASSERT_TRUE(
      eventually([&] { return pipeline.consumer().heartbeat() > noted + milliseconds(700); }));
  EXPECT_EQ(pipeline.consumer().stats().mirrored.value(), mirrored);
  EXPECT_EQ(cluster.committed("group", "orders", 0), 20);
}

TEST_F(TroubleTest, KnowsTheEndOfALogThatItDoesNotFetch) {
  cluster.create_topic("orders", 1);
  const HurriedClock clock;
  ConsumerOptions slow = options();
  slow.clock = &clock;
  slow.properties["queued.min.messages"] = "1";  // librdkafka fetches nothing while it holds one
  FakePipeline pipeline(store, slow, /*budget_bytes=*/1);
  const auto partition = [&] { return pipeline.consumer().partitions().at(0); };
  pipeline.hold(true);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return pipeline.read_budget().over(); }));
  cluster.produce_many("orders", 0, 10, 10);
  ASSERT_TRUE(eventually([&] { return partition().high_watermark == 20; }));
  cluster.produce_many("orders", 0, 20, 80);
  ASSERT_TRUE(eventually([&] { return partition().high_watermark == 100; }))
      << partition().high_watermark;
  ASSERT_TRUE(eventually([&] { return partition().unread_since.has_value(); }));
  const SteadyTime since = *partition().unread_since;
  EXPECT_LT(partition().position, 100);
  // A person who pauses it knows why nothing moves.
  pipeline.consumer().pause(PauseReason::user);
  ASSERT_TRUE(eventually([&] { return !partition().unread_since; }));
  pipeline.consumer().resume(PauseReason::user);
  ASSERT_TRUE(eventually([&] { return partition().unread_since > since; }));
  pipeline.hold(false);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 100; }));
  ASSERT_TRUE(eventually([&] { return !partition().unread_since; }));
}

}  // namespace
}  // namespace penstock::ingest
