// Tables held against the records that made them.
#include <gtest/gtest.h>

#include <atomic>
#include <format>
#include <nlohmann/json.hpp>
#include <thread>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using Records = std::vector<std::optional<std::string>>;

class Verify : public testing::Test {
 protected:
  explicit Verify(ServiceOptions options = {}) : service(std::move(options)) {}

  // `penstock verify p WORDS…`, which ends with this status.
  std::string run(std::vector<std::string> words = {}, int status = 0) {
    return run_with(service.config(), std::move(words), status);
  }
  std::string run_with(const std::string& config, std::vector<std::string> words, int status) {
    words.insert(words.begin(), {"verify", "p"});
    const auto output = service.run_with_config(std::move(words), config);
    EXPECT_EQ(output.status.code, status) << output.text;
    return output.text;
  }
  // What it says of the first table.
  Json verify(std::vector<std::string> words = {}, int status = 0) {
    words.emplace_back("--json");
    const std::string text = run(std::move(words), status);
    const Json json = Json::parse(text.substr(0, text.find('\n')), nullptr, false);
    EXPECT_TRUE(json.is_object()) << text;
    if (!json.is_object() || json["tables"].empty()) return Json::object();
    last = json;
    return json["tables"][0];
  }
  void expect(const Json& table, int missing, int extra, int different) {
    EXPECT_EQ(table["missing"], missing) << table;
    EXPECT_EQ(table["extra"], extra) << table;
    EXPECT_EQ(table["different"], different) << table;
  }
  // Records {"n": …, "s": "value n"} of from … to.
  static Records records(int from, int to) {
    Records all;
    for (int n = from; n <= to; ++n)
      all.push_back(std::format(R"({{"n":{0},"s":"value {0}"}})", n));
    return all;
  }
  void execute(const std::string& statements) { service.database().execute(statements); }

  Service service;
  Json last;  // all that it said
};

class VerifyByKey : public Verify {
 protected:
  VerifyByKey()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)"}) {}
};

TEST_F(VerifyByKey, FindsTheRowsThatAreMissingExtraAndDifferentAmongManyThatAreRight) {
  service.feed(records(1, 100'000));
  EXPECT_EQ(run(),
            "p: 100,000 records of 1 partition read again\n"
            "public.t: 100,000 rows of these records, 100,000 rows in the table\n"
            "  no difference\n");
  execute(
      "DELETE FROM t WHERE n = 70000; UPDATE t SET s = 'other' WHERE n = 3;"
      "INSERT INTO t VALUES (-5, 'nobody''s', NULL)");
  const std::string topic = service.topic().name();
  EXPECT_EQ(run({}, 1),
            "p: 100,000 records of 1 partition read again\n"
            "public.t: 100,000 rows of these records, 100,000 rows in the table\n"
            "  missing    " +
                topic +
                "/0/69999  n=70000\n"
                "  extra      -  n=-5\n"
                "  different  " +
                topic +
                "/0/2  n=3\n"
                "               s: value 3, and the table has other\n"
                "  1 missing, 1 extra, 1 different\n");
  const Json table = verify({}, 1);
  EXPECT_EQ(table["findings"][0]["record"]["offset"], 69999);
  EXPECT_EQ(table["findings"][0]["expected"]["s"], "value 70000");
  EXPECT_TRUE(table["findings"][0]["actual"].is_null());
  EXPECT_EQ(table["findings"][1]["actual"]["s"], "nobody's");
  EXPECT_TRUE(table["findings"][1]["expected"].is_null());
  EXPECT_TRUE(last["looked_for_extra"]);
}

TEST_F(VerifyByKey, FindsNothingWhileThePipelineWrites) {
  service.feed(records(1, 100));
  std::atomic<bool> stop = false;
  int fed = 100;
  std::thread producer([&] {
    for (; !stop; fed += 500) service.topic().produce(records(fed + 1, fed + 500));
  });
  std::uint64_t most = 0;
  for (int i = 0; i < 5; ++i) {
    const Json table = verify();
    expect(table, 0, 0, 0);
    const std::uint64_t rows = table["actual_rows"];
    EXPECT_GE(rows, most);
    most = rows;
  }
  stop = true;
  producer.join();
  EXPECT_GT(most, 100U) << "nothing was written meanwhile";
}

TEST_F(VerifyByKey, TakesNoDeadLetterForARow) {
  auto all = records(1, 50);
  all.emplace_back(R"({"n":"seven","s":"x"})");  // no bigint
  all.emplace_back(R"({"n":7,"s":"again"})");    // PostgreSQL refuses a second one
  service.feed(all);
  ASSERT_EQ(service.dead_letters().size(), 2U);
  expect(verify(), 0, 0, 0);
  EXPECT_EQ(last["dead_letters"], 2);
  EXPECT_EQ(last["rejects"], 1);
  // Of a letter that is gone nobody knows why there is no row.
  execute("DELETE FROM penstock.dead_letters WHERE \"offset\" = 51");
  expect(verify({}, 1), 1, 0, 0);
}

TEST_F(VerifyByKey, LooksOnlyAtTheRangeThatIsMeant) {
  service.feed(records(1, 100));
  execute(
      "UPDATE t SET s = 'other' WHERE n IN (10, 50, 90); INSERT INTO t VALUES (-5, 'extra', NULL)");
  const Json table = verify({"--from", "20", "--to", "89"}, 1);
  expect(table, 0, 0, 1);
  EXPECT_EQ(table["findings"][0]["expected"]["n"], "50");
  EXPECT_EQ(table["expected_rows"], 69);
  EXPECT_FALSE(last["looked_for_extra"]);
  expect(verify({"--from", "20"}, 1), 0, 0, 2);
  expect(verify({"--to", "89"}, 1), 0, 0, 2);
  expect(verify({"--from", "1h"}, 1), 0, 1, 3);  // that is all of the log
  expect(verify({"--to", "1h"}), 0, 0, 0);
  expect(verify({"--partition", "0"}, 1), 0, 0, 3);
  EXPECT_EQ(verify({"--limit", "1"}, 1)["findings"].size(), 1U);
  EXPECT_TRUE(run({"--partition", "7"}, 1).contains("has no position of partition 7"));
  EXPECT_TRUE(run({"--to", "101"}, 2).contains("the pipeline stands at 100"));
  EXPECT_TRUE(run({"--from", "soon"}, 2).contains("--from 'soon' is no place"));
}

class VerifyUpsert : public Verify {
 protected:
  VerifyUpsert()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                .pipeline_yaml = "        mode: upsert\n"
                                 "        delete_when: has(msg.gone)\n",
                .partitions = 2}) {}
};

TEST_F(VerifyUpsert, KnowsWhatTheLastRecordOfEachKeyLeaves) {
  auto all = records(1, 1000);
  for (int n = 1; n <= 1000; n += 2) all.push_back(std::format(R"({{"n":{},"s":"new"}})", n));
  for (int n = 5; n <= 1000; n += 5) all.push_back(std::format(R"({{"n":{},"gone":true}})", n));
  all.emplace_back(R"({"n":10,"s":"back"})");
  service.feed(all);
  const Json table = verify();
  expect(table, 0, 0, 0);
  EXPECT_EQ(table["actual_rows"], 801);
  execute(
      "UPDATE t SET s = 'value 3' WHERE n = 3; DELETE FROM t WHERE n = 10; "
      "INSERT INTO t VALUES (5, 'not gone', 4)");
  expect(verify({}, 1), 1, 1, 1);
  // A key that changes behind the range is not compared: its row is of a record that is not meant.
  expect(verify({"--to", "1000"}), 0, 0, 0);
  expect(verify({"--from", "1000", "--to", "1500"}, 1), 0, 0, 1);
  EXPECT_EQ(verify({"--from", "1500"}, 1)["extra"], 1) << "a record says that it is gone";
}

TEST_F(VerifyUpsert, DoesNotDecideBetweenPartitions) {
  service.feed(records(1, 10));
  service.topic().produce({R"({"n":3,"s":"of another partition"})"}, 1);
  ASSERT_TRUE(wait_until([&] { return service.applied() == 11; }));
  execute("UPDATE t SET s = 'neither' WHERE n = 3");
  const Json table = verify({}, 1);
  expect(table, 0, 0, 0);
  EXPECT_EQ(table["undecided"], 1);
}

TEST_F(Verify, ComparesATableWithoutAKeyAsAMultisetOfRows) {
  auto all = records(1, 100);
  for (int i = 0; i < 3; ++i) all.emplace_back(R"({"n":5,"s":"value 5"})");
  service.feed(all);
  execute("ALTER TABLE t ALTER source_offset DROP NOT NULL; UPDATE t SET source_offset = 0");
  const std::string without_offset = [&] {
    std::string text = service.config();
    const std::string column = "          source_offset: record.offset\n";
    return text.erase(text.find(column), column.size());
  }();
  EXPECT_TRUE(run_with(without_offset, {}, 0).contains("  no difference\n"));
  execute(
      "DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE n = 5); "
      "INSERT INTO t VALUES (9, 'value 9', 0)");
  const std::string text = run_with(without_offset, {}, 1);
  EXPECT_TRUE(text.contains("  1 missing, 1 extra, 0 different\n")) << text;
  EXPECT_TRUE(run({"--from", "5"}, 2).contains("has no key")) << "no row is one record's";
  // Columns that tell its rows apart make a key.
  execute("UPDATE t SET source_offset = n - 1; UPDATE t SET s = 'other' WHERE n = 50");
  const Json table = verify({"--key", "source_offset", "--from", "40", "--to", "60"}, 1);
  expect(table, 0, 0, 1);
  EXPECT_TRUE(run({"--key", "sourse_offset"}, 2).contains("source_offset"));
}

TEST_F(Verify, SteersNoTerminal) {
  service.feed({R"({"n":1,"s":"\u001b[2J\nforged"})"});
  execute("DELETE FROM t");
  const std::string text = run({}, 1);
  EXPECT_FALSE(text.contains('\x1b')) << text;
  EXPECT_FALSE(text.contains("\nforged")) << text;
}

}  // namespace
}  // namespace penstock::test
