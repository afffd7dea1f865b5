// Tables held against the records that made them.
#include <atomic>
#include <format>
#include <thread>

#include "integration/verify/verify_fixture.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

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

// It is held when it knows the positions and has not looked at the table.
TEST_F(VerifyByKey, ReadsTheTableAsItWasAtThePositionsThatItHasRead) {
  service.feed(records(1, 100));
  execute("BEGIN; LOCK TABLE penstock.dead_letters IN ACCESS EXCLUSIVE MODE");
  auto process = start();
  ASSERT_TRUE(wait_until([&] {
    return service.database().number(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
               "'penstock.dead_letters'::regclass") == 1;
  })) << output();
  service.feed(records(101, 200));
  execute("UPDATE t SET s = 'other' WHERE n = 50");
  execute("COMMIT");
  const auto status = process.wait_for(60s);
  EXPECT_TRUE(status && status->success()) << output();
  EXPECT_TRUE(output().contains("100 rows of these records, 100 rows in the table")) << output();
  expect(verify({}, 1), 0, 0, 1);
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
  expect(verify({"--partition", "0"}, 1), 0, 1, 3);  // and there is no other
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

TEST_F(VerifyByKey, SaysWhatItMayNotRead) {
  service.feed(records(1, 3));
  const std::string role = unique_name("verify");
  execute(
      std::format("CREATE ROLE {0} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA penstock TO {0};"
                  "GRANT SELECT ON penstock.schema_migrations TO {0};"
                  "GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO {0};"
                  "GRANT INSERT ON penstock.dead_letters, t TO {0};",
                  role));
  const std::string as_role = service.database().conninfo() + " user=" + role + " password=secret";
  const std::string config = replaced(service.config(), service.database().conninfo(), as_role);
  EXPECT_TRUE(
      run_with(config, {}, 1).contains("SELECT ON \"public\".\"t\", which this role lacks"));
  execute("GRANT SELECT ON t TO " + role);
  EXPECT_TRUE(run_with(config, {}, 1).contains("penstock verify` needs"));
  execute("GRANT SELECT ON penstock.dead_letters TO " + role);
  EXPECT_TRUE(run_with(config, {}, 0).contains("no difference"));
  // Rows that a policy hides are not missing.
  execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY");
  EXPECT_TRUE(run_with(config, {}, 2).contains("row-level security"));
  execute(std::format("DROP OWNED BY {0}; DROP ROLE {0}", role));
}

}  // namespace
}  // namespace penstock::test
