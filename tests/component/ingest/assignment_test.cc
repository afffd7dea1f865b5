// Assignment by itself, where a group would have to misbehave to show it.
#include "ingest/assignment.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "component/ingest/fake_pipeline.h"
#include "component/ingest/mock_cluster.h"
#include "kafka/properties.h"
#include "kafka/reserved_properties.h"

namespace penstock::ingest {
namespace {

class AssignmentTest : public testing::Test {
 protected:
  AssignmentTest() {
    cluster.create_topic("orders", 2);
    cluster.create_topic("strange", 1);
    kafka::Properties properties = kafka::default_properties(1 << 20);
    for (auto& [name, value] : kafka::required_properties("group")) properties[name] = value;
    for (auto& [name, value] : cluster.properties()) properties[name] = value;
    auto conf = kafka::make_conf(properties);
    std::string text(256, '\0');
    client.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf->release(), text.data(), text.size()),
                 kafka::Deleter());
    records.reset(rd_kafka_queue_new(client.get()));
    options.topics = {"orders"};
  }
  ~AssignmentTest() override {
    lists.clear();
    records.reset();
  }

  rd_kafka_topic_partition_list_t* list(
      const std::vector<std::pair<std::string, std::int32_t>>& partitions) {
    lists.emplace_back(rd_kafka_topic_partition_list_new(1));
    for (const auto& [topic, number] : partitions) {
      rd_kafka_topic_partition_list_add(lists.back().get(), topic.c_str(), number);
    }
    return lists.back().get();
  }
  // What librdkafka thinks is assigned.
  [[nodiscard]] int assigned() const {
    rd_kafka_topic_partition_list_t* all = nullptr;
    EXPECT_EQ(rd_kafka_assignment(client.get(), &all), RD_KAFKA_RESP_ERR_NO_ERROR);
    return kafka::PartitionList(all)->cnt;
  }

  MockCluster cluster;
  FakeStore store;
  ConsumerOptions options;
  FakeProcess process;
  FakePipeline pipeline{store, options, 1 << 20, &process};  // not started: its sink and events
  std::shared_ptr<rd_kafka_t> client;
  kafka::Queue records;
  ConsumerStats stats;
  Jobs jobs{process.executor, [] {}};
  Mirror mirror{options, pipeline, stats, jobs};
  std::vector<Error> errors;
  Surroundings around{pipeline.plans(), store, pipeline.in_flight(), pipeline, pipeline};
  std::vector<kafka::PartitionList> lists;
};

TEST_F(AssignmentTest, AnswersForATopicThatItDoesNotReadAndReadsTheOthers) {
  Assignment assignment(options, around, stats, jobs, mirror,
                        [&](const Error& error) { errors.push_back(error); });
  assignment.attach(client, records.get(), std::chrono::milliseconds(1000));
  auto* both = list({{"strange", 0}, {"orders", 1}});
  assignment.rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, both);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].message.find("'strange'"), std::string::npos) << errors[0].message;
  EXPECT_EQ(assigned(), 2);
  EXPECT_EQ(assignment.all().size(), 1U);
  EXPECT_NE(assignment.find("orders", 1), nullptr);
  EXPECT_EQ(assignment.find("strange", 0), nullptr);
  EXPECT_EQ(assignment.find(PartitionId{7, 0}), nullptr);
  EXPECT_EQ(assignment.find(PartitionId{0, -1}), nullptr);
  ASSERT_TRUE(eventually([&] {
    std::ignore = assignment.look_after(std::chrono::steady_clock::now());
    jobs.serve();
    return assignment.find("orders", 1)->phase == Phase::reading;
  }));
  assignment.rebalance(RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, both);
  EXPECT_EQ(assigned(), 2) << "not before what is in flight was waited for";
  std::ignore = assignment.look_after(std::chrono::steady_clock::now());
  EXPECT_EQ(assigned(), 0);
  EXPECT_TRUE(assignment.all().empty());
  assignment.detach();
}

TEST_F(AssignmentTest, NumbersEveryAssignmentOfAPartitionAnew) {
  Assignment assignment(options, around, stats, jobs, mirror,
                        [&](const Error& error) { errors.push_back(error); });
  assignment.attach(client, records.get(), std::chrono::milliseconds(1000));
  auto* one = list({{"orders", 0}});
  assignment.rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, one);
  const std::uint64_t first = assignment.find("orders", 0)->number;
  store.hold_claims(true);
  std::ignore = assignment.look_after(std::chrono::steady_clock::now());
  ASSERT_TRUE(eventually([&] { return store.claims_held() == 1; }));
  assignment.rebalance(RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, one);
  std::ignore = assignment.look_after(std::chrono::steady_clock::now());
  ASSERT_EQ(assignment.find("orders", 0), nullptr);
  assignment.rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, one);
  EXPECT_NE(assignment.find("orders", 0)->number, first);
  // The first claim was called off when its partition went away: it takes no epoch from whoever has
  // the partition by then, and the second is asked for.
  store.hold_claims(false);
  ASSERT_TRUE(eventually([&] { return jobs.idle(); }));
  jobs.serve();
  EXPECT_EQ(assignment.find("orders", 0)->phase, Phase::waiting);
  EXPECT_FALSE(pipeline.called("claimed"));
  ASSERT_TRUE(eventually([&] {
    std::ignore = assignment.look_after(std::chrono::steady_clock::now());
    jobs.serve();
    return assignment.find("orders", 0)->phase == Phase::reading;
  }));
  EXPECT_EQ(assignment.find("orders", 0)->epoch(), Epoch{1});
  EXPECT_TRUE(errors.empty()) << errors[0].to_string();
  assignment.detach();
}

TEST_F(AssignmentTest, TakesNoAnswerThatWasMeantForAnEarlierAssignment) {
  Assignment assignment(options, around, stats, jobs, mirror,
                        [&](const Error& error) { errors.push_back(error); });
  assignment.attach(client, records.get(), std::chrono::milliseconds(1000));
  auto* one = list({{"orders", 0}});
  assignment.rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, one);
  std::ignore = assignment.look_after(std::chrono::steady_clock::now());
  // It is granted, and its answer is not served before the partition has gone and come again.
  ASSERT_TRUE(eventually([&] { return store.epoch({0, 0}) == Epoch{1} && jobs.idle(); }));
  assignment.rebalance(RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, one);
  std::ignore = assignment.look_after(std::chrono::steady_clock::now());
  assignment.rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, one);
  jobs.serve();
  EXPECT_EQ(assignment.find("orders", 0)->phase, Phase::waiting);
  EXPECT_FALSE(pipeline.called("claimed"));
  ASSERT_TRUE(eventually([&] {
    std::ignore = assignment.look_after(std::chrono::steady_clock::now());
    jobs.serve();
    return assignment.find("orders", 0)->phase == Phase::reading;
  }));
  EXPECT_EQ(assignment.find("orders", 0)->epoch(), Epoch{2});
  assignment.detach();
}

}  // namespace
}  // namespace penstock::ingest
