// A pipeline reads the topics that match a pattern, with the whole service on real servers: those
// that come later, too, each into the table that its name says.
#include <gtest/gtest.h>

#include <chrono>
#include <format>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class TopicPattern : public testing::Test {
 protected:
  TopicPattern() : service_({.table = "CREATE TABLE t (topic text, n bigint)"}) {
    service_.migrate();
  }
  ~TopicPattern() override {
    for (const std::string& topic : made_) {
      static_cast<void>(harness::delete_topic(shared_brokers(), topic));
    }
  }

  // All topics that this test makes begin with it, but for internal ones.
  [[nodiscard]] std::string prefix() { return service_.topic().name() + "."; }
  [[nodiscard]] std::string pattern() { return service_.topic().name() + R"(\.(?P<table>.*))"; }

  [[nodiscard]] std::string config(const std::string& matching, const std::string& target) {
    return std::format(
        "pipelines:\n"
        "  - name: p\n"
        "    source:\n"
        "      topics_matching: '{}'\n"
        "      group: {}\n"
        "      kafka: {{bootstrap.servers: \"{}\"}}\n"
        "    sink:\n"
        "      postgres: \"{}\"\n"
        "      target: {}\n"
        "server: {{grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}}\n"
        "log: {{format: json}}\n",
        matching, service_.topic().name(), shared_brokers(), service_.database().conninfo(),
        target);
  }
  [[nodiscard]] std::string into_t(const std::string& matching) {
    return config(matching, "{table: t, columns: {topic: record.topic, n: msg.n}}");
  }

  // With the records n = first, first + 1, …
  void make(const std::string& topic, int records, int partitions = 1) {
    must(harness::create_topic(shared_brokers(), topic, partitions));
    made_.push_back(topic);
    produce(topic, 0, records, partitions);
  }
  void produce(const std::string& topic, int first, int records, int partitions = 1) {
    std::vector<std::string> values;
    for (int i = 0; i < records; ++i) values.push_back(std::format(R"({{"n":{}}})", first + i));
    std::vector<harness::KafkaRecord> all;
    for (int i = 0; i < records; ++i) {
      const std::string& value = values[static_cast<std::size_t>(i)];
      all.push_back(
          {.partition = i % partitions, .value = value.data(), .value_size = value.size()});
    }
    must(harness::produce_all(shared_brokers(), topic, all));
  }

  std::int64_t count(const std::string& from) {
    return service_.database().number("SELECT count(*) FROM " + from);
  }
  void expect(const std::string& from, std::int64_t rows) {
    EXPECT_TRUE(wait_until([&] { return count(from) == rows; }, 60s))
        << from << " has " << count(from) << " of " << rows << "\n"
        << service_.process().log();
  }
  void expect_said(const std::string& text) {
    EXPECT_TRUE(wait_until([&] { return service_.process().logged(text) > 0; }, 30s))
        << text << "\n"
        << service_.process().log();
  }

  Service service_;
  std::vector<std::string> made_;
};

TEST_F(TopicPattern, ATopicThatComesLaterIsReadFromItsBeginningAndAnInternalOneIsNot) {
  const std::string internal = "__" + prefix() + "x";
  make(prefix() + "first", 10);
  make(internal, 10);
  service_.serve_while_waiting(into_t(service_.topic().name() + R"(\..*|__.*)"));
  expect("t", 10);
  make(prefix() + "second", 20, 3);
  expect("t", 30);
  EXPECT_EQ(count("t WHERE topic = '" + prefix() + "second'"), 20);
  EXPECT_EQ(count("penstock.offsets WHERE topic = '" + internal + "'"), 0);
  // Where another pipeline of the group would be told of it.
  EXPECT_EQ(count("penstock.pipelines p, unnest(p.topics) t WHERE t = '" + prefix() + "second'"),
            1);
  EXPECT_EQ(service_.process().logged("topic_found"), 2) << service_.process().log();
}

TEST_F(TopicPattern, APipelineWithoutATopicWaitsForOne) {
  service_.serve_while_waiting(into_t(pattern()));
  EXPECT_TRUE(wait_until(
      [&] {
        const auto answer = service_.process().get("/readyz");
        return answer && answer->body.contains("the cluster has no topic that matches");
      },
      30s))
      << service_.process().get("/readyz")->body << service_.process().log();
  make(prefix() + "first", 5);
  expect("t", 5);
}

TEST_F(TopicPattern, ATopicThatVanishesStopsNobody) {
  make(prefix() + "stays", 10);
  make(prefix() + "goes", 10);
  service_.serve_while_waiting(into_t(pattern()));
  expect("t", 20);
  must(harness::delete_topic(shared_brokers(), prefix() + "goes"));
  produce(prefix() + "stays", 10, 10);
  expect("t", 30);
  expect_said("topic_vanished");
  produce(prefix() + "stays", 20, 10);
  make(prefix() + "later", 10);
  expect("t", 50);
}

TEST_F(TopicPattern, ATopicGoesToTheTableOfJustItsName) {
  service_.database().execute(
      "CREATE TABLE orders (n bigint); CREATE TABLE \"Orders.v2\" (n bigint);"
      "CREATE TABLE \"odd-NAME_.\" (n bigint)");
  make(prefix() + "orders", 10);
  make(prefix() + "Orders.v2", 20);
  make(prefix() + "odd-NAME_.", 30);
  service_.serve_while_waiting(config(pattern(), "{table: '{table}', columns: {n: msg.n}}"));
  expect("orders", 10);
  expect("\"Orders.v2\"", 20);
  expect("\"odd-NAME_.\"", 30);
}

TEST_F(TopicPattern, ATopicWaitsForItsTableAndNobodyElseDoes) {
  service_.database().execute("CREATE TABLE orders (n bigint); CREATE TABLE clicks (m text)");
  for (const char* table : {"orders", "clicks", "later"}) make(prefix() + table, 10);
  const std::string text = config(pattern(), "{table: '{table}', columns: {n: msg.n}}");
  service_.serve_while_waiting(text);
  expect("orders", 10);
  expect_said("there is no column 'n' in");
  expect_said("partition_waits_for_table");
  const auto checked = service_.run_with_config({"check", "--online"}, text);
  EXPECT_TRUE(checked.status.success()) << checked.text;
  EXPECT_TRUE(checked.text.contains("topic " + prefix() + "later is waiting for its table: "))
      << checked.text;
  EXPECT_TRUE(checked.text.contains("topic " + prefix() + "clicks is waiting for its table: "))
      << checked.text;
  EXPECT_TRUE(checked.text.contains("p: table public.orders, 1 of its 1 columns")) << checked.text;
  service_.database().execute("CREATE TABLE later (n bigint); ALTER TABLE clicks ADD n bigint");
  expect("later", 10);
  expect("clicks WHERE n IS NOT NULL", 10);
  produce(prefix() + "orders", 10, 10);
  expect("orders", 20);
}

TEST_F(TopicPattern, ATableThatIsDroppedStopsItsTopicAlone) {
  service_.database().execute("CREATE TABLE orders (n bigint); CREATE TABLE clicks (n bigint)");
  make(prefix() + "orders", 10);
  make(prefix() + "clicks", 10);
  service_.serve_while_waiting(config(pattern(), "{table: '{table}', columns: {n: msg.n}}"));
  expect("orders", 10);
  expect("clicks", 10);
  service_.database().execute("DROP TABLE clicks");
  produce(prefix() + "clicks", 10, 10);
  expect_said("partition_waits_for_table");
  for (int i = 1; i <= 3; ++i) {
    produce(prefix() + "orders", 10 * i, 10);
    expect("orders", 10 + 10 * i);
  }
  service_.database().execute("CREATE TABLE clicks (n bigint, also text DEFAULT 'x')");
  expect("clicks WHERE n >= 10", 10);
}

TEST_F(TopicPattern, NoTopicsNameLeadsToTheTablesOfPenstockOrOfPostgreSQL) {
  service_.database().execute(
      "CREATE TABLE orders (n bigint); CREATE TABLE information_schema.victims (n bigint);"
      "CREATE TABLE penstock.victims (n bigint)");
  make(prefix() + "public.orders", 10);
  make(prefix() + "penstock.victims", 1);
  make(prefix() + "information_schema.victims", 1);
  service_.serve_while_waiting(
      config(service_.topic().name() + R"(\.(?P<schema>\w+)\.(?P<table>\w+))",
             "{table: '{schema}.{table}', columns: {n: msg.n}}"));
  expect("orders", 10);
  EXPECT_TRUE(
      wait_until([&] { return service_.process().logged("partition_waits_for_table") == 2; }, 30s))
      << service_.process().log();
  EXPECT_EQ(count("penstock.victims"), 0);
  EXPECT_EQ(count("information_schema.victims"), 0);
  EXPECT_EQ(count("penstock.offsets"), 1);
}

TEST_F(TopicPattern, TwoProcessesShareWhatComesLater) {
  make(prefix() + "first", 40, 4);
  const std::string text = into_t(pattern());
  service_.serve_while_waiting(text);
  auto other = must(harness::ServeProcess::spawn({.program = penstock_program(),
                                                  .directory = service_.directory(),
                                                  .name = "other",
                                                  .config = text,
                                                  .environment = {}}));
  must(other.wait_until_listening(30s));
  expect("t", 40);
  make(prefix() + "second", 40, 4);
  expect("t", 80);
  const auto owners = [&] {
    return count("(SELECT DISTINCT owner FROM penstock.offsets WHERE owner <> '') o");
  };
  EXPECT_TRUE(wait_until([&] { return owners() == 2; }, 60s)) << service_.process().log();
  produce(prefix() + "second", 40, 40, 4);
  expect("t", 120);
  EXPECT_EQ(count("(SELECT DISTINCT topic, n FROM t) d"), 120);
}

TEST_F(TopicPattern, DeadLettersAreRedrivenIntoTheTablesOfTheirTopics) {
  service_.database().execute(
      "CREATE TABLE orders (n bigint CHECK (n <> 3)); CREATE TABLE clicks (n bigint CHECK (n <> "
      "4))");
  make(prefix() + "orders", 10);
  make(prefix() + "clicks", 10);
  const std::string text = config(pattern(), "{table: '{table}', columns: {n: msg.n}}");
  service_.serve_while_waiting(text);
  expect("orders", 9);
  expect("clicks", 9);
  expect("penstock.dead_letters", 2);
  service_.database().execute(
      "ALTER TABLE orders DROP CONSTRAINT orders_n_check; ALTER TABLE clicks DROP CONSTRAINT "
      "clicks_n_check");
  const auto redriven = service_.run_with_config({"dead-letters", "redrive"}, text);
  EXPECT_TRUE(redriven.status.success()) << redriven.text;
  EXPECT_EQ(count("orders WHERE n = 3"), 1);
  EXPECT_EQ(count("clicks WHERE n = 4"), 1);
  EXPECT_EQ(count("penstock.dead_letters"), 0);
}

}  // namespace
}  // namespace penstock::test
