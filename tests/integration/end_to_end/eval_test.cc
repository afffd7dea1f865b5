// `penstock eval --offset`: a real record, dry.
#include <gtest/gtest.h>

#include "harness/text_file.h"
#include "integration/end_to_end/service.h"
#include "support/transaction.h"

namespace penstock::test {
namespace {

class EvalOffset : public testing::Test {
 protected:
  EvalOffset()
      : service(
            {.columns = {{"n", "msg.n"}, {"s", "string(record.key) + string(record.headers.from)"}},
             .where = "msg.n > 0"}) {}

  // With kcat's options, such as -k and -H.
  void produce(const std::string& value, const std::vector<std::string>& options) {
    const auto file = service.directory() / "value";
    must(harness::write_private_file(file, value));
    std::vector<std::string> command = {"kcat", "-P", "-b", shared_brokers(), "-t", topic()};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(file);
    const auto output = must(harness::run_command(command, service.directory()));
    ASSERT_TRUE(output.status.success()) << output.text;
  }
  [[nodiscard]] std::string topic() { return service.topic().name(); }
  harness::CommandOutput eval(const std::string& place, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"eval", "--offset", topic() + "/" + place});
    return service.run_with_config(more, service.config());
  }
  void expect_failure(const std::string& place, const std::vector<std::string>& said) {
    const auto output = eval(place);
    EXPECT_EQ(output.status.code, 1) << output.text;
    for (const std::string& text : said) EXPECT_TRUE(output.text.contains(text)) << output.text;
  }

  Service service;
};

TEST_F(EvalOffset, ShowsTheRowThatServeWrites) {
  produce(R"({"n":7})", {"-k", "key", "-H", "from=shop"});
  const auto output = eval("0/0");
  EXPECT_EQ(output.status.code, 0) << output.text;
  EXPECT_EQ(output.text,
            "where                 true\n"
            "column n              7\n"
            "column s              \"keyshop\"\n"
            "column source_offset  0\n"
            "a row, if the table takes it\n");
  EXPECT_EQ(eval("0/0", {"record.topic"}).text, "\"" + topic() + "\"\n");
  service.serve();
  ASSERT_TRUE(wait_until([&] { return service.applied() == 1; })) << service.process().log();
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"7", "keyshop"}}));
}

TEST_F(EvalOffset, ShowsTheDeadLetterThatServeWrites) {
  produce(R"({"n":7})", {"-k", "key"});
  const auto output = eval("0/0");
  EXPECT_EQ(output.status.code, 1) << output.text;
  service.serve();
  ASSERT_TRUE(wait_until([&] { return service.applied() == 1; })) << service.process().log();
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_TRUE(output.text.contains("a dead letter: " + letters[0].stage + ": " + letters[0].reason +
                                   ": " + letters[0].message + "\n"))
      << output.text << letters[0].message;
}

TEST_F(EvalOffset, TakesATombstoneForOne) {
  service.topic().produce({std::nullopt});
  expect_failure("0/0", {"a dead letter: parse: tombstone: "});
}

TEST_F(EvalOffset, DisturbsNeitherTheGroupNorPositions) {
  service.feed({R"({"n":1})", R"({"n":2})"});
  const std::string log = service.process().log();
  EXPECT_EQ(eval("0/1").status.code, 1);
  EXPECT_EQ(service.applied(), 2);
  EXPECT_FALSE(service.process().log().substr(log.size()).contains("partition_revoked"))
      << service.process().log();
}

TEST_F(EvalOffset, NamesTheOffsetsThatTheLogHolds) {
  expect_failure("0/0", {topic() + "/0 has no offset 0", "it is empty"});
  service.topic().produce({R"({"n":1})", R"({"n":2})"});
  expect_failure("0/2", {topic() + "/0 has no offset 2", "it holds 0 to 1"});
  expect_failure("1/0", {"'" + topic() + "' has no partition 1", "it has 0 to 0"});
}

TEST_F(EvalOffset, FindsNoRecordWhereATransactionLeftItsMarker) {
  Transaction transaction(unique_name("transaction"));
  transaction.produce(topic(), 1);
  transaction.commit();
  // The log ends with the marker.
  expect_failure(
      "0/1", {"there is no record at offset 1 of " + topic() + "/0", "nor is there one behind it"});
  service.topic().produce({R"({"n":1})"});
  expect_failure("0/1", {"there is no record at offset 1", "the next one is at 2"});
}

TEST_F(EvalOffset, SaysThatNoBrokerAnswers) {
  std::string config = service.config();
  config.replace(config.find(shared_brokers()), shared_brokers().size(), "127.0.0.1:1");
  const auto output = service.run_with_config({"eval", "--offset", topic() + "/0/0"}, config);
  EXPECT_EQ(output.status.code, 1) << output.text;
  EXPECT_TRUE(output.text.contains("127.0.0.1:1")) << output.text;
}

}  // namespace
}  // namespace penstock::test
