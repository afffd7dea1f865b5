// A position belongs to one log. When that log is another one by now, nothing may be left out of it
// without a word, and a person has one command to go on.
#include <gtest/gtest.h>

#include <csignal>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"
#include "integration/regress/broken_log.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

std::vector<std::optional<std::string>> records(int count, int generation) {
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < count; ++i) {
    values.emplace_back(R"({"n":)" + std::to_string(generation) + R"(,"s":"x"})");
  }
  return values;
}

// The reason that a partition of `name` stands still for, once it does.
std::string blocked_reason(Service& service) {
  std::string log;
  if (!wait_until(
          [&] { return service.process().metric("penstock_partition_blocked").value_or(0) > 0; })) {
    ADD_FAILURE() << "nothing is blocked\n" << service.process().log();
    return {};
  }
  return must(service.process().get("/readyz")).body + service.process().log();
}

std::vector<std::optional<std::string>> count_by_n(Service& service) {
  std::vector<std::optional<std::string>> counts;
  for (const auto& row :
       service.database().query("SELECT n || ':' || count(*) FROM t GROUP BY n ORDER BY n")) {
    counts.push_back(row[0]);
  }
  return counts;
}

using Counts = std::vector<std::optional<std::string>>;

// ---- A log that was cut and has grown again -----------------------------------------------------

class CutLog : public testing::Test {
 protected:
  // 1,000 records are taken in; then the log is cut at 600, and has 1,400 again.
  void cut_and_grow(Service& service) {
    service.topic().produce(records(600, 1));
    service.feed(records(400, 1));
    ASSERT_TRUE(wait_until([&] { return service.applied() == 1'000; })) << service.process().log();
  }
  void lose_and_grow(Service& service) {
    kafka->kill();
    cut(*kafka, service.topic().name(), 600);
    must(kafka->start_again());
    ASSERT_EQ(must(harness::end_offsets(kafka->bootstrap_servers(), service.topic().name())),
              std::vector<Offset>{600});
    service.topic().produce(records(800, 2));
  }

  std::unique_ptr<harness::LocalKafka> kafka = own_kafka();
};

TEST_F(CutLog, IsNoticedAfterARestartAndReadByCommand) {
  Service service({.brokers = kafka->bootstrap_servers()});
  cut_and_grow(service);
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  lose_and_grow(service);
  service.serve_while_waiting(service.config());
  const std::string reason = blocked_reason(service);
  EXPECT_TRUE(reason.contains("it was cut at 600, and what was written there since")) << reason;
  const std::vector<std::string> command = {
      "offsets",     "reset", "p",    "--topic", service.topic().name(),
      "--partition", "0",     "--to", "600"};
  std::string words = "penstock";
  for (const std::string& word : command) words += " " + word;
  EXPECT_TRUE(reason.contains(words)) << reason;
  EXPECT_EQ(count_by_n(service), (Counts{"1:1000"}));

  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  const auto done = service.run_with_config(command, service.config());
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(done.text.contains("1000 -> 600")) << done.text;
  service.serve();
  EXPECT_TRUE(wait_until([&] { return service.applied() == 1'400; })) << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:1000", "2:800"}));
}

TEST_F(CutLog, IsNoticedByWhoClaimsThePartitionAnew) {
  Service service({.brokers = kafka->bootstrap_servers()});
  cut_and_grow(service);
  lose_and_grow(service);
  // Whether its own client was still there to see it, or its session had ended.
  const std::string reason = blocked_reason(service);
  EXPECT_TRUE(reason.contains("it was cut at 600, and what was written there since")) << reason;
  EXPECT_EQ(count_by_n(service), (Counts{"1:1000"}));
}

// ---- A topic that was made again while nothing was fetched --------------------------------------

TEST(TopicMadeAgain, IsNotReadFromTheMiddleAndIsReadByCommandWhileItRuns) {
  Service service;
  service.feed(records(100, 1));
  service.process().process().signal(SIGSTOP);
  service.topic().make_again();
  service.topic().produce(records(150, 2));
  service.process().process().signal(SIGCONT);
  const std::string reason = blocked_reason(service);
  EXPECT_TRUE(reason.contains("was deleted and made again")) << reason;
  EXPECT_EQ(count_by_n(service), (Counts{"1:100"})) << service.process().log();

  const std::vector<std::string> command = {
      "offsets", "reset", "p", "--topic", service.topic().name(), "--to", "beginning"};
  std::string words = "penstock";
  for (const std::string& word : command) words += " " + word;
  EXPECT_TRUE(reason.contains(words)) << reason;
  const auto done = service.run_with_config(command, service.config());
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(wait_until([&] { return service.applied() == 150; })) << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:100", "2:150"}));
  EXPECT_EQ(service.process().metric("penstock_partition_blocked").value_or(-1), 0);
}

TEST(TopicMadeAgain, LeavesAnotherTopicOfThePipelineAlone) {
  Service service;
  TestTopic other;
  std::string config = service.config();
  const std::string list = "topics: [" + service.topic().name();
  config.replace(config.find(list), list.size(), list + ", " + other.name());
  service.migrate();
  service.serve_while_waiting(config);
  const auto rows = [&] { return service.database().number("SELECT count(*) FROM t"); };
  service.topic().produce(records(100, 1));
  other.produce(records(100, 3));
  ASSERT_TRUE(wait_until([&] { return rows() == 200; })) << service.process().log();

  service.process().process().signal(SIGSTOP);
  service.topic().make_again();
  service.topic().produce(records(150, 2));
  service.process().process().signal(SIGCONT);
  blocked_reason(service);
  other.produce(records(100, 3));
  EXPECT_TRUE(wait_until([&] { return rows() >= 300; })) << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:100", "3:200"})) << service.process().log();
  EXPECT_FALSE(service.process().process().poll()) << service.process().log();
}

}  // namespace
}  // namespace penstock::test
