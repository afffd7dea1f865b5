#include "kafka/cluster_facts.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "component/ingest/mock_cluster.h"
#include "kafka/properties.h"
#include "kafka/reserved_properties.h"

namespace penstock::kafka {
namespace {

using std::chrono::milliseconds;

class ClusterFactsTest : public testing::Test {
 protected:
  Client client_of(const ingest::MockCluster& of) {
    Properties properties = default_properties(1 << 20);
    for (auto& [name, value] : required_properties("group")) properties[name] = value;
    for (auto& [name, value] : of.properties()) properties[name] = value;
    auto conf = make_conf(properties);
    std::string text(256, '\0');
    return Client(rd_kafka_new(RD_KAFKA_CONSUMER, conf->release(), text.data(), text.size()));
  }

  ingest::MockCluster cluster{2};
};

TEST_F(ClusterFactsTest, KnowsWhereLogsBeginAndEnd) {
  cluster.create_topic("orders", 2);
  cluster.create_topic("payments", 1);
  cluster.produce_many("orders", 1, 0, 10);
  cluster.produce_many("payments", 0, 0, 3);
  const Client client = client_of(cluster);
  const std::vector<TopicPartition> all{{"payments", 0}, {"orders", 1}, {"orders", 0}};
  const auto ends = log_offsets(client.get(), all, LogPlace::end, milliseconds(10'000));
  EXPECT_EQ(ends[0], 3);
  EXPECT_EQ(ends[1], 10);
  EXPECT_EQ(ends[2], 0);
  const auto begins = log_offsets(client.get(), all, LogPlace::begin, milliseconds(10'000));
  for (const auto& begin : begins) EXPECT_EQ(begin, 0);
  const auto stable = log_offsets(client.get(), all, LogPlace::stable_end, milliseconds(10'000));
  EXPECT_EQ(stable[1], 10);
}

TEST_F(ClusterFactsTest, SaysOfEachPartitionWhyItIsNotKnown) {
  cluster.create_topic("orders", 4);
  for (int partition = 0; partition < 4; ++partition) cluster.set_leader("orders", partition, 1);
  cluster.set_leader("orders", 1, -1);
  const Client client = client_of(cluster);
  const std::vector<TopicPartition> all{{"orders", 0}, {"orders", 1}, {"orders", 99}};
  const auto ends = log_offsets(client.get(), all, LogPlace::end, milliseconds(10'000));
  EXPECT_EQ(ends[0], 0);
  ASSERT_FALSE(ends[1]);
  EXPECT_NE(ends[1].error().message.find("eader"), std::string::npos) << ends[1].error().message;
  EXPECT_FALSE(ends[2]);
}

TEST_F(ClusterFactsTest, DoesNotLetALeaderThatIsAwayKeepTheOthersWaiting) {
  cluster.create_topic("orders", 2);
  cluster.set_leader("orders", 0, 1);
  cluster.set_leader("orders", 1, 2);
  const Client client = client_of(cluster);
  const std::vector<TopicPartition> all{{"orders", 0}, {"orders", 1}};
  ASSERT_EQ(log_offsets(client.get(), all, LogPlace::end, milliseconds(10'000))[1], 0);
  cluster.set_down(2);
  const auto begin = std::chrono::steady_clock::now();
  const auto ends = log_offsets(client.get(), all, LogPlace::end, milliseconds(10'000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(9000));
  EXPECT_EQ(ends[0], 0);
  ASSERT_FALSE(ends[1]);
  EXPECT_EQ(ends[1].error().kind, ErrorKind::deadline_exceeded);
}

TEST_F(ClusterFactsTest, KnowsWhatTheGroupHasCommitted) {
  cluster.create_topic("orders", 3);
  cluster.commit("group", "orders", 2, 7);
  const Client client = client_of(cluster);
  const std::vector<TopicPartition> all{{"orders", 1}, {"orders", 2}};
  const auto offsets = committed_offsets(client.get(), all, milliseconds(10'000));
  EXPECT_EQ(offsets[0], -1);
  EXPECT_EQ(offsets[1], 7);
}

TEST(ClusterFacts, SaysThatNobodyAnswers) {
  auto conf = make_conf({{"bootstrap.servers", "127.0.0.1:1"}, {"group.id", "group"}});
  std::string text(256, '\0');
  const Client client(rd_kafka_new(RD_KAFKA_CONSUMER, conf->release(), text.data(), text.size()));
  const std::vector<TopicPartition> all{{"orders", 0}};
  EXPECT_FALSE(log_offsets(client.get(), all, LogPlace::end, milliseconds(200))[0]);
  EXPECT_FALSE(committed_offsets(client.get(), all, milliseconds(200))[0]);
}

}  // namespace
}  // namespace penstock::kafka
