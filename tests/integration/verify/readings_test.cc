// What the pipeline has read more than once, never, or of an earlier topic of the same name.
#include <format>

#include "integration/verify/verify_fixture.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class VerifyReadings : public Verify {
 protected:
  explicit VerifyReadings(int partitions = 1)
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                .pipeline_yaml = "        mode: upsert\n",
                .partitions = partitions}) {}

  std::string reset(const std::string& place) {
    const auto done = service.run_with_config(
        {"offsets", "reset", "p", "--topic", service.topic().name(), "--to", place},
        service.config());
    EXPECT_TRUE(done.status.success()) << done.text;
    return done.text;
  }
  std::int64_t rows() { return service.database().number("SELECT count(*) FROM t"); }
  std::string readings() {
    // Of letters only whether there were some.
    return service.database().value(
        "SELECT coalesce(string_agg(concat(r.\"from\", '-', r.\"to\", CASE WHEN r.letters > 0 THEN "
        "' l' END), "
        "', '), '') FROM penstock.offsets o, jsonb_to_recordset(o.readings) AS r(\"from\" int8, "
        "\"to\" "
        "int8, letters int8)");
  }
};

TEST_F(VerifyReadings, TakesNoLetterOfAnEarlierTopicForOneOfThis) {
  service.feed({R"({"n":1,"s":"old"})", R"({"n":"seven","s":"old"})", R"({"n":3,"s":"old"})"});
  ASSERT_EQ(service.dead_letters().size(), 1U);
  service.topic().make_again();
  service.topic().produce(records(1, 3));
  EXPECT_FALSE(reset("beginning").contains("dead letter")) << "it is no record of this topic";
  ASSERT_TRUE(wait_until([&] { return rows() == 3; }, 60s)) << service.process().log();
  expect(verify({"--repair", "--yes-delete-extra"}), 0, 0, 0);
  EXPECT_EQ(last["dead_letters"], 0);
  EXPECT_EQ(rows(), 3);
  // One of this topic is.
  service.feed({R"({"n":"eight","s":"new"})"});
  expect(verify(), 0, 0, 0);
  EXPECT_EQ(last["dead_letters"], 1);
}

TEST_F(VerifyReadings, TakesNoLetterForARecordThatWasReadAgain) {
  service.feed({R"({"n":1,"s":"a"})", R"({"n":2,"s":null})", R"({"n":"three"})"});
  service.process().stop();
  execute("TRUNCATE t; ALTER TABLE t ALTER s SET NOT NULL");
  reset("beginning");
  service.serve();
  ASSERT_TRUE(wait_until([&] { return service.dead_letters().size() == 3; }, 60s));
  execute("ALTER TABLE t ALTER s DROP NOT NULL");
  reset("beginning");
  ASSERT_TRUE(wait_until([&] { return service.dead_letters().size() == 4; }, 60s));
  // Offset 1 is a row, and has a letter of before.
  expect(verify({"--repair", "--yes-delete-extra"}), 0, 0, 0);
  EXPECT_EQ(last["dead_letters"], 1);
  EXPECT_EQ(rows(), 2);
}

TEST_F(VerifyReadings, TakesNoLetterOfAPipelineThatWasForgotten) {
  service.feed({R"({"n":1,"s":"a"})", R"({"n":2,"s":"b"})"});
  ASSERT_TRUE(service.process().stop().success());
  execute(
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", headers, stage, "
      "reason, message) SELECT o.pipeline, o.topic, 0, 1, '[]', 'write', 'x', 'x' FROM "
      "penstock.offsets o; TRUNCATE t");
  ASSERT_TRUE(
      service.run_with_config({"offsets", "forget", "p", "--yes-drop-positions"}, service.config())
          .status.success());
  service.serve();
  ASSERT_TRUE(wait_until([&] { return rows() == 2; }, 60s)) << service.process().log();
  expect(verify(), 0, 0, 0);
}

TEST_F(VerifyReadings, LeavesOutWhatAResetHasLedThePipelinePast) {
  service.feed(records(1, 10));
  ASSERT_TRUE(service.process().stop().success());
  auto more = records(11, 20);
  more[3] = R"({"n":"fourteen"})";  // no letter: it is not read
  service.topic().produce(more);
  reset("end");
  service.serve();
  service.topic().produce(records(21, 30));
  ASSERT_TRUE(wait_until([&] { return rows() == 20; }, 60s)) << service.process().log();
  EXPECT_EQ(readings(), "0-10, 20-");
  execute("DELETE FROM t WHERE n IN (5, 25)");
  expect(verify({"--repair"}), 2, 0, 0);
  EXPECT_EQ(last["never_applied"], 10);
  EXPECT_EQ(rows(), 20);
  const std::string text = run();
  EXPECT_TRUE(text.contains(
      "10 offsets left out that the pipeline never read: it began behind them, or was "
      "led past them by `penstock offsets reset`\n"
      "rows that no record makes were not looked for: records that were never applied "
      "may have rows of others\n"))
      << text;
  // Some are read after all: those are rows that have to be there.
  ASSERT_TRUE(service.process().stop().success());
  reset("15");
  service.serve();
  ASSERT_TRUE(wait_until([&] { return rows() == 25; }, 60s)) << service.process().log();
  EXPECT_EQ(readings(), "0-10, 20-30, 15-");
  execute("DELETE FROM t WHERE n = 18");
  expect(verify({}, 1), 1, 0, 0);
  EXPECT_EQ(last["never_applied"], 5);
}

TEST_F(VerifyReadings, CallsNoRowExtraWhoseRecordWasReadBeforeAReset) {
  service.feed(records(1, 10));
  ASSERT_TRUE(service.process().stop().success());
  reset("4");
  reset("10");  // back again, before anything was read
  EXPECT_EQ(readings(), "0-10, 10-");
  expect(verify({"--repair", "--yes-delete-extra"}), 0, 0, 0);
  EXPECT_EQ(last["never_applied"], 0);
  EXPECT_EQ(rows(), 10);
}

TEST_F(VerifyReadings, LeavesOutWhatCameBeforeAPipelineThatBeganAtTheEnd) {
  service.topic().produce(records(1, 10));
  const std::string late =
      replaced(service.config(), "    source:\n", "    source:\n      start_at: latest\n");
  service.migrate();
  service.serve_while_waiting(late);
  ASSERT_TRUE(wait_until([&] { return readings() == "10-"; }, 60s)) << service.process().log();
  service.topic().produce(records(11, 15));
  ASSERT_TRUE(wait_until([&] { return rows() == 5; }, 60s)) << service.process().log();
  EXPECT_TRUE(run_with(late, {}, 0).contains("10 offsets left out"));
  execute("DELETE FROM t WHERE n = 12");
  EXPECT_TRUE(run_with(late, {"--repair"}, 0).contains("repaired: 1 inserted"));
}

class VerifyFewerPartitions : public VerifyReadings {
 protected:
  VerifyFewerPartitions() : VerifyReadings(3) {}
};

TEST_F(VerifyFewerPartitions, ReadsATopicThatWasMadeAgainWithFewer) {
  service.feed(records(1, 2));
  service.topic().make_again(1);
  service.topic().produce(records(1, 3));
  reset("beginning");
  const auto next = [this] {
    return service.database().number(
        "SELECT next_offset FROM penstock.offsets WHERE partition = 0");
  };
  ASSERT_TRUE(wait_until([&] { return next() == 3; }, 60s)) << service.process().log();
  expect(verify(), 0, 0, 0);
}

TEST_F(VerifyReadings, TakesTheOnlyPartitionForAllOfThem) {
  service.feed(records(1, 10));
  execute("UPDATE t SET s = 'other' WHERE n = 5; INSERT INTO t VALUES (-1, 'extra', NULL)");
  expect(verify({"--partition", "0", "--repair", "--yes-delete-extra"}), 0, 1, 1);
  expect(verify(), 0, 0, 0);
}

}  // namespace
}  // namespace penstock::test
