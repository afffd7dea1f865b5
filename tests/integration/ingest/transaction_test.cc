// Records of Kafka's transactions: what they keep waiting, and what they leave behind.
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include "component/ingest/fake_pipeline.h"
#include "kafka/handle.h"
#include "support/servers.h"

namespace penstock::ingest {
namespace {

// Twenty seconds pass in one.
class HurriedClock : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override {
    return start_ + (std::chrono::steady_clock::now() - start_) * 20;
  }

 private:
  SteadyTime start_ = std::chrono::steady_clock::now();
};

// A producer with a transaction that is open until it is committed or aborted.
class Transaction {
 public:
  explicit Transaction(const std::string& name) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::string text(256, '\0');
    const auto set = [&](const char* key, const std::string& value) {
      EXPECT_EQ(rd_kafka_conf_set(conf, key, value.c_str(), text.data(), text.size()),
                RD_KAFKA_CONF_OK)
          << text;
    };
    set("bootstrap.servers", test::shared_brokers());
    set("transactional.id", name);
    producer_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size()));
    expect(rd_kafka_init_transactions(producer_.get(), kTimeoutMs));
    expect(rd_kafka_begin_transaction(producer_.get()));
  }
  void produce(const std::string& topic, int count) {
    rd_kafka_topic_t* handle = rd_kafka_topic_new(producer_.get(), topic.c_str(), nullptr);
    for (int i = 0; i < count; ++i) {
      std::string value = "in a transaction";
      EXPECT_EQ(rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, value.data(), value.size(),
                                 nullptr, 0, nullptr),
                0);
    }
    rd_kafka_topic_destroy(handle);
    EXPECT_EQ(rd_kafka_flush(producer_.get(), kTimeoutMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void commit() { expect(rd_kafka_commit_transaction(producer_.get(), kTimeoutMs)); }
  void abort() { expect(rd_kafka_abort_transaction(producer_.get(), kTimeoutMs)); }

 private:
  static constexpr int kTimeoutMs = 30'000;
  static void expect(rd_kafka_error_t* error) {
    if (error == nullptr) return;
    ADD_FAILURE() << rd_kafka_error_string(error);
    rd_kafka_error_destroy(error);
  }
  kafka::Client producer_;
};

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
  Transaction open(test::unique_name("transaction"));
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
  Transaction aborted(test::unique_name("transaction"));
  aborted.produce(topic.name(), 5);
  aborted.abort();
  // Five records and the marker.
  ASSERT_TRUE(eventually([&] { return store.position(kFirst) == 7; }));
  EXPECT_EQ(store.row_count(), 1U);
  EXPECT_EQ(pipeline.consumer().stats().gap_offsets_same_leader.value(), 6U);
  Transaction second(test::unique_name("transaction"));
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
