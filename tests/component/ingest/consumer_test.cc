// Consumer against the mock cluster: claims, order, shapes of batches, backpressure.
#include "ingest/consumer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "component/ingest/fake_pipeline.h"
#include "component/ingest/mock_cluster.h"
#include "core/log.h"

namespace penstock::ingest {
namespace {

class ConsumerTest : public testing::Test {
 protected:
  ConsumerOptions options(std::vector<std::string> topics = {"orders"}) {
    ConsumerOptions options;
    options.topics = std::move(topics);
    options.group = "group";
    options.properties = cluster.properties();
    return options;
  }

  MockCluster cluster;
  FakeStore store;
};

constexpr PartitionId kFirst{0, 0};

TEST_F(ConsumerTest, ReadsEveryRecordOfEveryPartitionInOrder) {
  cluster.create_topic("orders", 4);
  for (int partition = 0; partition < 4; ++partition) {
    cluster.produce_many("orders", partition, 0, 5000);
  }
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20'000; }));
  store.expect_in_order();
  EXPECT_TRUE(pipeline.consumer().joined());
  EXPECT_EQ(pipeline.consumer().stats().records.value(), 20'000U);
  EXPECT_FALSE(pipeline.consumer().last_error().has_value());
}

TEST_F(ConsumerTest, SeesRecordsThatComeLater) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  for (int i = 0; i < 3; ++i) {
    cluster.produce("orders", 0, "value");
    ASSERT_TRUE(eventually([&] { return store.row_count() == static_cast<std::size_t>(i + 1); }));
  }
}

TEST_F(ConsumerTest, ReadsSeveralTopics) {
  cluster.create_topic("orders", 2);
  cluster.create_topic("payments", 2);
  cluster.produce_many("orders", 1, 0, 10);
  cluster.produce_many("payments", 0, 0, 20);
  FakePipeline pipeline(store, options({"orders", "payments"}));
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 30; }));
  store.expect_in_order();
  EXPECT_EQ(store.position({0, 1}), 10);
  EXPECT_EQ(store.position({1, 0}), 20);
}

TEST_F(ConsumerTest, BeginsAtTheStoredPosition) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 100);
  store.set_position(kFirst, 60);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.position(kFirst) == 100; }));
  EXPECT_EQ(store.row_count(), 40U);
  store.expect_in_order(60);
}

TEST_F(ConsumerTest, BeginsAtTheEndWhenToldSoAndNothingIsStored) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  ConsumerOptions latest = options();
  latest.start_at = StartAt::latest;
  FakePipeline pipeline(store, latest);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  cluster.produce("orders", 0, "after");
  ASSERT_TRUE(eventually([&] { return store.row_count() == 1; }));
  EXPECT_EQ(store.rows()[0].offset, 10);
}

// The end of the log is of the pipeline's beginning, not of the claim.
TEST_F(ConsumerTest, BeginsAgainAtItsFirstBeginningAfterAFailoverThatTookItBack) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  ConsumerOptions latest = options();
  latest.start_at = StartAt::latest;
  FakePipeline pipeline(store, latest);
  pipeline.reclaim_when_fenced = true;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  EXPECT_EQ(store.position({0, 1}), 0) << "both have begun";
  cluster.produce_many("orders", 0, 10, 5);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 5; }));
  store.forget_positions();
  cluster.produce_many("orders", 0, 15, 5);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 15; }));
  EXPECT_EQ(store.rows()[5].offset, 10) << "the five before are read again";
}

TEST_F(ConsumerTest, WaitsForTheEndsOfAllPartitionsWhenItBeginsAtTheEnd) {
  MockCluster two(2);
  two.create_topic("orders", 2);
  two.produce_many("orders", 0, 0, 10);
  two.set_leader("orders", 1, -1);
  ConsumerOptions latest = options();
  latest.properties = two.properties();
  latest.start_at = StartAt::latest;
  FakePipeline pipeline(store, latest);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] {
    return pipeline.waiting_reason(kFirst).contains("where orders[0] begins is not");
  })) << pipeline.waiting_reason(kFirst);
  EXPECT_EQ(store.position(kFirst), -1);
  two.set_leader("orders", 1, 1);
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  EXPECT_EQ(store.position(kFirst), 10);
}

TEST_F(ConsumerTest, TakesOverFromTheGroupsOffsets) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("orders", 1, 0, 10);
  cluster.commit("group", "orders", 0, 7);
  ConsumerOptions group = options();
  group.start_at = StartAt::group;
  FakePipeline pipeline(store, group);
  ASSERT_TRUE(pipeline.consumer().start());
  // Partition 1 has no offset in the group: it begins at the beginning.
  ASSERT_TRUE(eventually([&] { return store.row_count() == 13; }));
  EXPECT_EQ(store.position({0, 0}), 10);
  EXPECT_EQ(store.position({0, 1}), 10);
}

TEST_F(ConsumerTest, ClaimsWithTheClustersIdBeforeTheFirstBatch) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 1; }));
  ASSERT_FALSE(store.requests().empty());
  EXPECT_EQ(store.requests()[0].topic, "orders");
  EXPECT_FALSE(store.requests()[0].cluster_id.empty());
  EXPECT_EQ(store.calls(), 2) << "once before the topic has begun, once afterwards";
  EXPECT_EQ(pipeline.calls(), std::vector<std::string>{"claimed"});
}

TEST_F(ConsumerTest, KeepsKeysNullsTimestampsAndHeaders) {
  cluster.create_topic("orders", 1);
  cluster.produce("orders", 0, "value", "key", {{"a", "1"}, {"b", std::nullopt}, {"c", ""}});
  cluster.produce("orders", 0, std::nullopt, "gone");
  cluster.produce("orders", 0, "");
  FakePipeline pipeline(store, options());
  pipeline.keep_batches = true;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 3; }));

  const auto record = [&](Offset offset) {
    const RecordBatch* batch = nullptr;
    EXPECT_TRUE(eventually([&] { return (batch = pipeline.batch_with(kFirst, offset)); }));
    return batch->record(static_cast<std::size_t>(offset - batch->record(0).offset));
  };
  const RecordView full = record(0);
  EXPECT_EQ(full.key, "key");
  EXPECT_EQ(full.value, "value");
  EXPECT_GT(full.timestamp_ms, 1'600'000'000'000);
  HeaderReader headers = full.headers();
  const auto a = headers.next();
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ(a->name, "a");
  EXPECT_EQ(a->value, "1");
  const auto b = headers.next();
  ASSERT_TRUE(b.has_value());
  EXPECT_EQ(b->value, std::nullopt);
  const auto c = headers.next();
  ASSERT_TRUE(c.has_value());
  EXPECT_EQ(c->value, "");
  EXPECT_FALSE(headers.next().has_value());

  const RecordView tombstone = record(1);
  EXPECT_EQ(tombstone.key, "gone");
  EXPECT_EQ(tombstone.value, std::nullopt);
  const RecordView empty = record(2);
  EXPECT_EQ(empty.key, std::nullopt);
  EXPECT_EQ(empty.value, "");
}

TEST_F(ConsumerTest, LinksTheTracesOfItsRecordsWhenAsked) {
  cluster.create_topic("orders", 1);
  const std::string context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  cluster.produce("orders", 0, "linked", std::nullopt, {{"traceparent", context}});
  cluster.produce("orders", 0, "broken", std::nullopt, {{"traceparent", "nonsense"}});
  ConsumerOptions tracing = options();
  TraceLink own;
  own.trace_id[0] = 0x0b;
  tracing.trace_context = [own] { return own; };
  FakePipeline pipeline(store, tracing);
  pipeline.keep_batches = true;
  ASSERT_TRUE(pipeline.consumer().start());
  const RecordBatch* batch = nullptr;
  ASSERT_TRUE(eventually([&] { return (batch = pipeline.batch_with(kFirst, 0)); }));
  ASSERT_EQ(batch->trace.links.size(), 1U);
  EXPECT_EQ(batch->trace.links[0].trace_id[0], 0x0a);
  EXPECT_EQ(batch->trace.links[0].flags, 1);
  EXPECT_EQ(batch->trace.context.trace_id[0], 0x0b);
}

TEST_F(ConsumerTest, BoundsBatchesByRecordsAndBytes) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 1000);
  ConsumerOptions small = options();
  small.batch_records = 64;
  FakePipeline pipeline(store, small);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 1000; }));
  store.expect_in_order();
  EXPECT_LE(pipeline.largest_batch_records(), 64U);
}

TEST_F(ConsumerTest, GivesARecordLargerThanABatchABatchOfItsOwn) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 5);
  cluster.produce("orders", 0, std::string(std::size_t{3} << 20, 'x'));
  cluster.produce_many("orders", 0, 5, 5);
  // Larger than the whole budget, too: it must get through all the same.
  FakePipeline pipeline(store, options(), std::size_t{1} << 20);
  pipeline.keep_batches = true;
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 11; }));
  store.expect_in_order();
  const RecordBatch* large = nullptr;
  ASSERT_TRUE(eventually([&] { return (large = pipeline.batch_with(kFirst, 5)); }));
  EXPECT_EQ(large->size(), 1U);
}

TEST_F(ConsumerTest, StopsTakingInWhenTheBudgetIsSpentAndGoesOnWhenItIsFree) {
  cluster.create_topic("orders", 2);
  cluster.produce_many("orders", 0, 0, 20'000);
  cluster.produce_many("orders", 1, 0, 20'000);
  ConsumerOptions small = options();
  small.batch_records = 100;
  constexpr std::size_t kBudget = 64 << 10;
  FakePipeline pipeline(store, small, kBudget);
  pipeline.hold(true);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.read_budget().over(); }));
  // It goes on polling, but takes no more in than what was on its way from librdkafka.
  const SteadyTime full = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually(
      [&] { return pipeline.consumer().heartbeat() > full + std::chrono::milliseconds(200); }));
  const std::size_t held = pipeline.held_batches();
  const SteadyTime settled = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually(
      [&] { return pipeline.consumer().heartbeat() > settled + std::chrono::milliseconds(200); }));
  EXPECT_EQ(pipeline.held_batches(), held);
  EXPECT_LT(pipeline.read_budget().used(), kBudget + (128 << 10));

  pipeline.hold(false);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 40'000; }));
  store.expect_in_order();
}

TEST_F(ConsumerTest, APartitionThatStandsStillForARecordLeavesRoomForTheOthers) {
  cluster.create_topic("orders", 2);
  ConsumerOptions chosen = options();
  chosen.batch_records = 100;
  chosen.records_may_wait = true;
  FakePipeline pipeline(store, chosen, /*budget_bytes=*/512 << 10);
  pipeline.hold(true);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 2; }));
  const std::shared_ptr<Chain> chain = pipeline.chain_of(kFirst);
  chain->set_waiting("a record waits");
  cluster.produce_many("orders", 0, 0, 40'000);
  ASSERT_TRUE(eventually([&] { return pipeline.waiting_reason(kFirst) == "a record waits"; }));
  EXPECT_FALSE(pipeline.read_budget().over());
  const auto rows_of = [&](std::int32_t partition) {
    return std::ranges::count_if(store.rows(), [partition](const FakeStore::Row& row) {
      return row.partition.partition == partition;
    });
  };
  cluster.produce_many("orders", 1, 0, 500);
  pipeline.hold(false);
  ASSERT_TRUE(eventually([&] { return rows_of(1) == 500; }));
  EXPECT_LT(rows_of(0), 40'000);
  chain->set_waiting({});
  ASSERT_TRUE(eventually([&] { return store.row_count() == 40'500; }));
  store.expect_in_order();
  EXPECT_EQ(pipeline.consumer().stats().gap_offsets_same_leader.value(), 0U);
}

TEST_F(ConsumerTest, HoldsBackWhileAnyReasonToPauseIsSet) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  pipeline.consumer().pause(PauseReason::user);
  pipeline.consumer().pause(PauseReason::breaker);
  const SteadyTime paused = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().heartbeat() > paused; }));
  cluster.produce_many("orders", 0, 0, 10);
  pipeline.consumer().resume(PauseReason::breaker);
  const SteadyTime resumed = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually(
      [&] { return pipeline.consumer().heartbeat() > resumed + std::chrono::milliseconds(300); }));
  EXPECT_EQ(store.row_count(), 0U);
  pipeline.consumer().resume(PauseReason::user);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

TEST_F(ConsumerTest, TakesNothingInAfterCloseButStaysInTheGroup) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  pipeline.consumer().close();
  const SteadyTime closed = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().heartbeat() > closed; }));
  cluster.produce_many("orders", 0, 0, 10);
  const SteadyTime produced = pipeline.consumer().heartbeat();
  ASSERT_TRUE(eventually(
      [&] { return pipeline.consumer().heartbeat() > produced + std::chrono::milliseconds(300); }));
  EXPECT_EQ(store.row_count(), 0U);
  EXPECT_TRUE(pipeline.consumer().joined());
  EXPECT_EQ(pipeline.consumer().partitions().size(), 1U);
}

TEST_F(ConsumerTest, ShowsItsPartitionsWithPositionsAndWatermarks) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  ASSERT_TRUE(eventually([&] {
    const auto partitions = pipeline.consumer().partitions();
    return partitions.size() == 1 && partitions[0].position == 10 &&
           partitions[0].high_watermark == 10;
  }));
  const AssignedPartition partition = pipeline.consumer().partitions()[0];
  EXPECT_EQ(partition.topic, "orders");
  ASSERT_TRUE(partition.chain);
  EXPECT_EQ(partition.chain->epoch, Epoch{1});
  EXPECT_EQ(partition.blocked_reason, "");
}

TEST_F(ConsumerTest, MirrorsPositionsToKafka) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  pipeline.consumer().mirror(pipeline.chain_of(kFirst), 10);
  ASSERT_TRUE(eventually([&] { return pipeline.mirrored_offsets()[kFirst] == 10; }));
  EXPECT_EQ(cluster.committed("group", "orders", 0), 10);
}

TEST_F(ConsumerTest, MirrorsTheLastPositionsBeforeItLeaves) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 10);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().stats().mirrored.value() == 1; }));
  pipeline.consumer().close();
  pipeline.consumer().mirror(pipeline.chain_of(kFirst), 10);
  pipeline.stop();
  EXPECT_EQ(cluster.committed("group", "orders", 0), 10);
}

TEST_F(ConsumerTest, OnlyCountsAMirrorThatFails) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.partitions_reading() == 1; }));
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().stats().mirrored.value() == 1; }));
  constexpr std::int16_t kOffsetCommit = 8;
  cluster.fail_requests(kOffsetCommit, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 1);
  pipeline.consumer().mirror(pipeline.chain_of(kFirst), 5);
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().stats().mirror_failures.value() == 1; }));
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
}

TEST_F(ConsumerTest, StartsAndStopsTwiceWithoutHarm) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  pipeline.stop();
  FakePipeline second(store, options());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 1; }));
  second.stop();
  second.stop();
  ASSERT_TRUE(second.consumer().start()) << "and does nothing";
  EXPECT_FALSE(second.consumer().joined());
  EXPECT_TRUE(second.consumer().partitions().empty());
}

TEST_F(ConsumerTest, StopsWhileTheBudgetIsSpent) {
  cluster.create_topic("orders", 1);
  cluster.produce_many("orders", 0, 0, 20'000);
  FakePipeline pipeline(store, options(), 1000);
  pipeline.hold(true);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.read_budget().over(); }));
  pipeline.stop();
  EXPECT_FALSE(pipeline.called("hurried"));  // stop abandons
  EXPECT_TRUE(pipeline.called("stopped"));
  EXPECT_EQ(store.released(), 1U);
}

TEST_F(ConsumerTest, RefusesAPropertyThatDoesNotExist) {
  ConsumerOptions wrong = options();
  wrong.properties["fetch.mim.bytes"] = "1";
  FakePipeline pipeline(store, wrong);
  const auto started = pipeline.consumer().start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::invalid_argument);
  EXPECT_NE(started.error().message.find("fetch.mim.bytes"), std::string::npos);
  EXPECT_NE(started.error().hint.find("fetch.min.bytes"), std::string::npos);
}

TEST_F(ConsumerTest, ReadsTheTopicsThatMatchAPatternAlsoThoseThatComeLater) {
  cluster.create_topic("shop.orders", 2);
  cluster.create_topic("bank.orders", 1);
  cluster.create_topic("__shop.orders", 1);
  for (const char* topic : {"shop.orders", "bank.orders", "__shop.orders"}) {
    cluster.produce_many(topic, 0, 0, 10);
  }
  ConsumerOptions matching = options({});
  matching.topics_matching = *kafka::TopicPattern::make(R"((__)?shop\..*)");
  FakePipeline pipeline(store, matching);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  cluster.create_topic("shop.items", 1);
  cluster.produce_many("shop.items", 0, 0, 20);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 30; }));
  EXPECT_EQ(matching.topics.names(), (std::vector<std::string>{"shop.orders", "shop.items"}));
  EXPECT_EQ(pipeline.consumer().search_reason(), "");
  store.expect_in_order();
}

TEST_F(ConsumerTest, SaysThatNoTopicMatches) {
  cluster.create_topic("orders", 1);
  ConsumerOptions matching = options({});
  matching.topics_matching = *kafka::TopicPattern::make("shop.*");
  FakePipeline pipeline(store, matching);
  ASSERT_TRUE(pipeline.consumer().start());
  EXPECT_TRUE(eventually([&] {
    return pipeline.consumer().search_reason() ==
           "the cluster has no topic that matches 'shop.*'; one that comes is read within seconds";
  }));
  EXPECT_FALSE(pipeline.consumer().joined());
}

TEST_F(ConsumerTest, ATopicWithoutAPlanWaitsIsNotClaimedAndHoldsUpNobody) {
  cluster.create_topic("orders", 1);
  cluster.create_topic("payments", 1);
  cluster.produce_many("orders", 0, 0, 10);
  cluster.produce_many("payments", 0, 0, 10);
  FakePipeline pipeline(store, options({"orders", "payments"}));
  pipeline.plans().take_from("payments");
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  const PartitionId waiting{1, 0};
  ASSERT_TRUE(
      eventually([&] { return pipeline.waiting_reason(waiting) == "there is no table for it"; }));
  for (const ClaimRequest& request : store.requests()) EXPECT_EQ(request.topic, "orders");
  pipeline.plans().take_from("");
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  EXPECT_EQ(pipeline.consumer().stats().claim_failures.value(), 0U);
}

TEST_F(ConsumerTest, RefusesTopicsThatAreNoNames) {
  for (const std::vector<std::string>& topics : {std::vector<std::string>{}, {""}, {"^orders.*"}}) {
    FakePipeline pipeline(store, options(topics));
    const auto started = pipeline.consumer().start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().kind, ErrorKind::invalid_argument);
  }
}

TEST_F(ConsumerTest, ReadsAgainWhatAnErrorOfThePartitionInterrupted) {
  cluster.create_topic("orders", 1);
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  cluster.produce_many("orders", 0, 0, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 10; }));
  constexpr std::int16_t kFetch = 1;
  cluster.fail_requests(kFetch, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 3);
  cluster.produce_many("orders", 0, 10, 10);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 20; }));
  store.expect_in_order();
}

TEST_F(ConsumerTest, ReportsATopicThatDoesNotExistAndTakesItWhenItComes) {
  ConsumerOptions missing = options({"absent"});
  missing.properties["topic.metadata.refresh.interval.ms"] = "200";
  FakePipeline pipeline(store, missing);
  ASSERT_TRUE(pipeline.consumer().start());
  // librdkafka says it once, and not at all if its mock cluster makes the topic when it is asked
  // for.
  std::optional<Error> error;
  ASSERT_TRUE(eventually([&] {
    error = pipeline.consumer().last_error();
    return error.has_value() || pipeline.consumer().joined();
  }));
  if (error) {
    EXPECT_EQ(error->kind, ErrorKind::not_found);
    EXPECT_FALSE(error->hint.empty());
  }
  // It makes it for the producer, if it has not before.
  cluster.produce_many("absent", 0, 0, 3);
  ASSERT_TRUE(eventually([&] { return store.row_count() == 3; }));
  EXPECT_FALSE(pipeline.consumer().last_error().has_value());
}

// Whether an error with these words was logged.
class ToldErrors {
 public:
  explicit ToldErrors(std::string words) {
    set_log_sink([this, words = std::move(words)](LogLevel, std::string_view,
                                                  std::span<const LogField> fields) {
      for (const LogField& field : fields) {
        const auto* const text = std::get_if<std::string>(&field.value);
        if (field.name == "error" && text != nullptr && text->contains(words)) told_ = true;
      }
    });
  }
  ~ToldErrors() { set_log_sink({}); }
  ToldErrors(const ToldErrors&) = delete;
  ToldErrors& operator=(const ToldErrors&) = delete;
  [[nodiscard]] bool told() const { return told_; }

 private:
  std::atomic<bool> told_{false};
};

TEST_F(ConsumerTest, ReportsABrokerThatDoesNotAnswer) {
  ConsumerOptions nowhere = options();
  nowhere.properties["bootstrap.servers"] = "127.0.0.1:1";
  const ToldErrors are_down("brokers are down");
  FakePipeline pipeline(store, nowhere);
  ASSERT_TRUE(pipeline.consumer().start());
  ASSERT_TRUE(eventually([&] { return pipeline.consumer().last_error().has_value(); }));
  // What brought the brokers down says more than that they are.
  ASSERT_TRUE(eventually([&] { return are_down.told(); }));
  EXPECT_TRUE(pipeline.consumer().last_error()->message.contains("Connect to"))
      << pipeline.consumer().last_error()->message;
  EXPECT_EQ(pipeline.consumer().last_error()->kind, ErrorKind::unavailable);
  EXPECT_NE(pipeline.consumer().last_error()->hint.find("bootstrap.servers"), std::string::npos);
  EXPECT_FALSE(pipeline.consumer().joined());
}

}  // namespace
}  // namespace penstock::ingest
