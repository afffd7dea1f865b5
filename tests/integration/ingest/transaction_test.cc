// Records of Kafka's transactions: what they keep waiting, and what they leave behind.
#include <gtest/gtest.h>

#include <string>

#include "component/ingest/fake_pipeline.h"
#include "support/servers.h"
#include "support/transaction.h"

namespace penstock::ingest {
namespace {

class TransactionTest : public testing::Test {
 protected:
  ConsumerOptions options() {
    ConsumerOptions options;
    options.topics = {topic.name()};
    options.group = test::unique_name("group");
    options.properties = {{"bootstrap.servers", test::shared_brokers()}};
    options.clock = &clock;
    return options;
  }

  test::TestTopic topic;
  HurriedClock clock;
  FakeStore store;
};

constexpr PartitionId kFirst{0, 0};

TEST_F(TransactionTest, SaysThatAnOpenTransactionIsInTheWay) {
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  topic.produce({"before"});
  ASSERT_TRUE(eventually([&] { return store.row_count() == 1; }));
  test::Transaction open(test::unique_name("transaction"));
  open.produce(topic.name(), 5);
  topic.produce({"behind"});
  ASSERT_TRUE(eventually([&] {
    return pipeline.waiting_reason(kFirst).starts_with("waiting for an open Kafka transaction");
  })) << pipeline.waiting_reason(kFirst);
  EXPECT_NE(pipeline.waiting_reason(kFirst).find("offset 1 "), std::string::npos)
      << pipeline.waiting_reason(kFirst);
  EXPECT_EQ(store.row_count(), 1U);
  open.commit();
  ASSERT_TRUE(eventually([&] { return store.row_count() == 7; }));
  ASSERT_TRUE(eventually([&] { return pipeline.waiting_reason(kFirst).empty(); }));
}

TEST_F(TransactionTest, CountsTheOffsetsThatItPassesOverAndFollowsThemAtTheEnd) {
  FakePipeline pipeline(store, options());
  ASSERT_TRUE(pipeline.consumer().start());
  topic.produce({"before"});
  ASSERT_TRUE(eventually([&] { return store.row_count() == 1; }));
  test::Transaction aborted(test::unique_name("transaction"));
  aborted.produce(topic.name(), 5);
  aborted.abort();
  // Five records and the marker.
  ASSERT_TRUE(eventually([&] { return store.position(kFirst) == 7; }));
  EXPECT_EQ(store.row_count(), 1U);
  EXPECT_EQ(pipeline.consumer().stats().gap_offsets_same_leader.value(), 6U);
  test::Transaction second(test::unique_name("transaction"));
  second.produce(topic.name(), 3);
  second.abort();
  topic.produce({"behind"});
  ASSERT_TRUE(eventually([&] { return store.row_count() == 2; }));
  EXPECT_EQ(pipeline.consumer().stats().gap_offsets_same_leader.value(), 10U);
  EXPECT_EQ(pipeline.consumer().stats().gap_offsets_new_leader.value(), 0U);
}

TEST_F(TransactionTest, KnowsTheLeaderEpochOfItsRecords) {
  FakePipeline pipeline(store, options());
  pipeline.keep_batches = true;
  ASSERT_TRUE(pipeline.consumer().start());
  topic.produce({"one", "two"});
  ASSERT_TRUE(eventually([&] { return store.row_count() == 2; }));
  const RecordBatch* batch = nullptr;
  ASSERT_TRUE(eventually([&] { return (batch = pipeline.batch_with(kFirst, 0)); }));
  EXPECT_GE(batch->leader_epoch, 0);
}

}  // namespace
}  // namespace penstock::ingest
