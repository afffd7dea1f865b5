#include "kafka/probe.h"

#include <gtest/gtest.h>

#include <chrono>

#include "component/ingest/mock_cluster.h"

namespace penstock::kafka {
namespace {

using std::chrono::milliseconds;

TEST(Probe, ReportsBrokersTopicsAndPartitions) {
  ingest::MockCluster cluster;
  cluster.create_topic("orders", 3);
  cluster.create_topic("payments", 1);
  const auto report = probe(cluster.properties(), {"payments", "orders"}, milliseconds(10'000));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->brokers, 1);
  EXPECT_FALSE(report->cluster_id.empty());
  ASSERT_EQ(report->topics.size(), 2U);
  EXPECT_EQ(report->topics[0].name, "payments");
  EXPECT_EQ(report->topics[0].partitions, 1);
  EXPECT_EQ(report->topics[1].partitions, 3);
}

TEST(Probe, NamesEveryMissingTopicAndMakesNone) {
  ingest::MockCluster cluster;
  cluster.create_topic("orders", 1);
  for (int i = 0; i < 2; ++i) {  // asking must not create it
    const auto report =
        probe(cluster.properties(), {"absent", "orders", "missing"}, milliseconds(10'000));
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->missing, (std::vector<std::string>{"absent", "missing"}));
    ASSERT_EQ(report->topics.size(), 1U);
    const auto none = probe(cluster.properties(), {"absent", "missing"}, milliseconds(10'000));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::not_found);
    EXPECT_NE(none.error().message.find("'absent', 'missing'"), std::string::npos);
  }
}

TEST(Probe, SaysWhyNoBrokerAnswered) {
  const auto report = probe({{"bootstrap.servers", "127.0.0.1:1"}}, {"orders"}, milliseconds(1000));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::unavailable);
  EXPECT_NE(report.error().message.find("refused"), std::string::npos) << report.error().message;
  EXPECT_FALSE(report.error().hint.empty());
}

TEST(Probe, RefusesWhatLibrdkafkaRefuses) {
  const auto unknown = probe({{"bootstrap.server", "localhost"}}, {}, milliseconds(1000));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::invalid_argument);
  EXPECT_NE(unknown.error().hint.find("bootstrap.servers"), std::string::npos);
}

}  // namespace
}  // namespace penstock::kafka
