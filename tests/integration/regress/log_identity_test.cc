// A position belongs to one log. When that log is another one by now, nothing may be left out of it
// without a word, and a person has one command to go on.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>
#include <utility>

#include "harness/kafka_admin.h"
#include "harness/sql.h"
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

  const auto done = service.run_with_config(command, service.config());
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(done.text.contains("1000 -> 600")) << done.text;
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

// ---- A log that does not have the position any more ---------------------------------------------

// Begins anew by the very command that the reason names.
void reset_as_is_said(Service& service, const std::string& reason) {
  const std::vector<std::string> command = {
      "offsets",     "reset", "p",    "--topic",  service.topic().name(),
      "--partition", "0",     "--to", "beginning"};
  std::string words = "penstock";
  for (const std::string& word : command) words += " " + word;
  EXPECT_TRUE(reason.contains(words)) << reason;
  const auto done = service.run_with_config(command, service.config());
  EXPECT_TRUE(done.status.success()) << done.text;
}

class DeletedRecords : public testing::Test {
 protected:
  // 100 records are taken in; of 100 more, half are deleted before anybody reads them.
  void take_in() { service.feed(records(100, 1)); }
  void outlive_retention() {
    service.topic().produce(records(100, 2));
    must(harness::delete_records(shared_brokers(), service.topic().name(), 0, 150));
  }
  void expect_the_command_to_be_enough() {
    const std::string what = "position 100 is not in the log of " + service.topic().name() +
                             "[0], which holds 150 to 200";
    ASSERT_TRUE(wait_until([&] { return service.process().log().contains(what); }))
        << service.process().log();
    const std::string reason = blocked_reason(service);
    reset_as_is_said(service, reason);
    EXPECT_TRUE(wait_until([&] { return service.applied() == 200; })) << service.process().log();
    EXPECT_EQ(count_by_n(service), (Counts{"1:100", "2:50"}));
    EXPECT_TRUE(wait_until([&] {
      return service.process().metric("penstock_partition_blocked").value_or(-1) == 0;
    })) << service.process().log();
  }

  Service service;
};

TEST_F(DeletedRecords, BeforeTheStartArePassedOverByCommandWhileItRuns) {
  take_in();
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  outlive_retention();
  service.serve_while_waiting(service.config());
  expect_the_command_to_be_enough();
}

TEST_F(DeletedRecords, UnderARunningProcessArePassedOverByCommandWhileItRuns) {
  take_in();
  service.process().process().signal(SIGSTOP);
  outlive_retention();
  service.process().process().signal(SIGCONT);
  expect_the_command_to_be_enough();
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

  reset_as_is_said(service, reason);
  EXPECT_TRUE(wait_until([&] { return service.applied() == 150; })) << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:100", "2:150"}));
  EXPECT_EQ(service.process().metric("penstock_partition_blocked").value_or(-1), 0);
}

// Nothing is fetched while it is paused, so that no fetch tells.
TEST(TopicMadeAgain, IsFoundWhileThePipelineIsPaused) {
  Service service;
  service.feed(records(100, 1));
  const auto steer = [&](std::vector<std::string> command) {
    command.insert(command.end(),
                   {"--address", "127.0.0.1:" + std::to_string(service.process().grpc_port())});
    const auto output = service.run(command);
    EXPECT_TRUE(output.status.success()) << output.text;
    return output.text;
  };
  steer({"ctl", "pause", "p"});
  service.topic().make_again();
  service.topic().produce(records(150, 2));
  const std::string reason = blocked_reason(service);
  EXPECT_TRUE(reason.contains("was deleted and made again")) << reason;
  // Its end is none of the log that was read.
  EXPECT_TRUE(steer({"ctl", "list"}).contains("lag         -"));
  steer({"ctl", "resume", "p"});
  const auto done = service.run_with_config(
      {"offsets", "reset", "p", "--topic", service.topic().name(), "--to", "beginning"},
      service.config());
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(wait_until([&] { return service.applied() == 150; })) << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:100", "2:150"}));
}

// What had been taken in is written; of the other topic nothing is.
TEST(TopicMadeAgain, IsFoundWhileTheQueueIsFull) {
  Service service({.pipeline_yaml = "    resources: {memory_bytes: 16777216}\n"});
  service.feed(records(100, 1));
  auto locker = must(harness::Sql::connect(service.database().conninfo()));
  must(locker.execute("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE"));
  std::vector<std::optional<std::string>> large(
      30'000, R"({"n":1,"s":"x","pad":")" + std::string(2'000, 'x') + "\"}");
  service.topic().produce(large);
  const auto polled = [&] {
    return service.process().metric("penstock_records_polled_total").value_or(0);
  };
  double seen = -1;
  ASSERT_TRUE(wait_until([&] {
    const double before = std::exchange(seen, polled());
    if (seen > 100 && seen == before) return true;
    std::this_thread::sleep_for(500ms);  // for what is asked about: whether it goes on
    return false;
  })) << service.process().log();
  ASSERT_LT(seen, 30'100) << "no fault bit: the queue is not full";
  service.topic().make_again();
  service.topic().produce(records(150, 2));
  const std::string reason = blocked_reason(service);
  EXPECT_TRUE(reason.contains("was deleted and made again")) << reason;
  must(locker.execute("COMMIT"));
  EXPECT_TRUE(wait_until([&] {
    return service.database().number("SELECT count(*) FROM t") == service.applied() &&
           service.applied() >= static_cast<std::int64_t>(seen);
  })) << service.applied()
      << service.process().log();
  EXPECT_EQ(count_by_n(service), (Counts{"1:" + std::to_string(service.applied())}));
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

// ---- … with fewer partitions --------------------------------------------------------------------

class FewerPartitions : public testing::Test {
 protected:
  void read_three() {
    service.topic().produce(records(7, 1), 2);
    service.feed(records(100, 1));
    ASSERT_TRUE(wait_until([&] { return service.applied() == 107; })) << service.process().log();
  }
  void make_again_with_two() {
    service.topic().make_again(2);
    service.topic().produce(records(150, 2));
  }
  harness::CommandOutput reset(const std::vector<std::string>& where) {
    std::vector<std::string> command = {"offsets", "reset", "p", "--topic", service.topic().name()};
    command.insert(command.end(), where.begin(), where.end());
    return service.run_with_config(command, service.config());
  }
  harness::CommandOutput check_online() {
    return service.run_with_config({"check", "--online"}, service.config());
  }
  std::string settled() {
    return service.topic().name() + "[2]  7 -> 0 (the topic has no such partition";
  }
  void expect_the_new_one_to_be_read() {
    EXPECT_TRUE(wait_until([&] { return count_by_n(service) == Counts{"1:107", "2:150"}; }))
        << service.process().log();
  }

  Service service{{.partitions = 3}};
};

TEST_F(FewerPartitions, AreSettledByOneCommand) {
  read_three();
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  make_again_with_two();
  const std::string wrong = check_online().text;
  EXPECT_TRUE(wrong.contains("partitions 0, 1, 2 belong to an earlier topic of that name"))
      << wrong;
  EXPECT_TRUE(wrong.contains("penstock offsets reset p --topic " + service.topic().name() +
                             " --to beginning --config FILE"))
      << wrong;

  service.serve_while_waiting(service.config());
  const auto done = reset({"--to", "beginning"});
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(done.text.contains(settled())) << done.text;
  expect_the_new_one_to_be_read();
  EXPECT_TRUE(check_online().status.success()) << check_online().text;
  // What was read of the earlier one is no business of this one's records.
  service.database().execute("DELETE FROM t WHERE n = 1");
  const auto verified = service.run_with_config({"verify", "p"}, service.config());
  EXPECT_TRUE(verified.status.success()) << verified.text;
}

TEST_F(FewerPartitions, AreSettledOneByOneAndOneThatComesLaterIsRead) {
  read_three();
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  make_again_with_two();
  for (const char* partition : {"0", "1"}) {
    ASSERT_TRUE(reset({"--partition", partition, "--to", "beginning"}).status.success());
  }
  const std::string wrong = check_online().text;
  EXPECT_TRUE(wrong.contains("partition 2 belongs to an earlier topic of that name")) << wrong;
  const auto done = reset({"--partition", "2", "--to", "beginning"});
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(done.text.contains(settled())) << done.text;
  EXPECT_TRUE(reset({"--partition", "3", "--to", "beginning"})
                  .text.contains("has no partition 3: it has 2 of them"));
  EXPECT_TRUE(check_online().status.success()) << check_online().text;

  must(harness::add_partitions(shared_brokers(), service.topic().name(), 3));
  service.topic().produce(records(20, 3), 2);
  service.serve_while_waiting(service.config());
  EXPECT_TRUE(wait_until([&] { return count_by_n(service) == Counts{"1:107", "2:150", "3:20"}; }))
      << service.process().log();
}

TEST_F(FewerPartitions, UnderARunningProcessAreSettledByOneCommand) {
  read_three();
  service.process().process().signal(SIGSTOP);
  make_again_with_two();
  service.process().process().signal(SIGCONT);
  EXPECT_TRUE(blocked_reason(service).contains("was deleted and made again"));
  const auto done = reset({"--to", "beginning"});
  EXPECT_TRUE(done.status.success()) << done.text;
  EXPECT_TRUE(done.text.contains(settled())) << done.text;
  expect_the_new_one_to_be_read();
  EXPECT_TRUE(wait_until([&] {
    return service.process().metric("penstock_partition_blocked").value_or(-1) == 0;
  })) << service.process().log();
  EXPECT_TRUE(check_online().status.success()) << check_online().text;
}

// ---- A topic that is not there ------------------------------------------------------------------

// A pipeline of two topics of which the second comes and goes.
class MissingTopic : public testing::Test {
 protected:
  void serve() {
    std::string config = service.config();
    const std::string list = "topics: [" + service.topic().name();
    config.replace(config.find(list), list.size(), list + ", " + second.name());
    const std::string kafka = "kafka: {";
    config.insert(config.find(kafka) + kafka.size(), "topic.metadata.refresh.interval.ms: 2000, ");
    service.migrate();
    service.serve_while_waiting(config);
  }
  std::string state() {
    return service
        .run({"ctl", "get", "p", "--address",
              "127.0.0.1:" + std::to_string(service.process().grpc_port())})
        .text;
  }
  bool is_named() { return state().contains("the cluster has no topic '" + second.name() + "'"); }
  void expect_the_first_is_read() {
    const auto of_the_first = [&] {
      return service.database().number("SELECT count(*) FROM t WHERE n = 1");
    };
    const std::int64_t before = of_the_first();
    service.topic().produce(records(10, 1));
    EXPECT_TRUE(wait_until([&] { return of_the_first() == before + 10; }))
        << service.process().log();
    EXPECT_EQ(must(service.process().get("/readyz")).status, 200);
  }
  // Nobody knows it.
  void expect_no_lag_of_the_second() {
    const std::string metrics = must(service.process().get("/metrics")).body;
    for (std::size_t at = 0;
         (at = metrics.find("penstock_partition_lag_records{", at)) != std::string::npos;) {
      const std::string line = metrics.substr(at, metrics.find('\n', at) - at);
      EXPECT_FALSE(line.contains("\"" + second.name() + "\"")) << line;
      at += line.size();
    }
  }
  std::int64_t rows() { return service.database().number("SELECT count(*) FROM t"); }

  Service service;
  TestTopic second;
};

TEST_F(MissingTopic, AtTheStartIsNamedAndReadOnceItIsThere) {
  second.remove();
  serve();
  expect_the_first_is_read();
  EXPECT_TRUE(wait_until([&] { return is_named(); })) << state() << service.process().log();
  second.make_again();
  second.produce(records(10, 2));
  EXPECT_TRUE(wait_until([&] { return rows() == 20; })) << state() << service.process().log();
  EXPECT_TRUE(wait_until([&] { return !is_named(); })) << state();
}

TEST_F(MissingTopic, ThatWasDeletedStopsNeitherTheOtherNorARestart) {
  serve();
  second.produce(records(10, 2));
  expect_the_first_is_read();
  ASSERT_TRUE(wait_until([&] { return rows() == 20; })) << service.process().log();
  second.remove();
  EXPECT_TRUE(wait_until([&] { return is_named(); })) << state() << service.process().log();
  expect_no_lag_of_the_second();
  expect_the_first_is_read();
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  serve();
  expect_the_first_is_read();
  EXPECT_TRUE(wait_until([&] { return is_named(); })) << state() << service.process().log();
  // Another one under its name is not read without a word.
  second.make_again();
  second.produce(records(20, 3));
  EXPECT_TRUE(blocked_reason(service).contains("belongs to an earlier topic of that name"));
  EXPECT_EQ(rows(), 40);
}

}  // namespace
}  // namespace penstock::test
