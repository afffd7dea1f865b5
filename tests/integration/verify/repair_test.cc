// Tables made what their records say.
#include <atomic>
#include <csignal>
#include <format>
#include <thread>

#include "integration/verify/verify_fixture.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class Repair : public Verify {
 protected:
  explicit Repair(const char* mode = "        mode: upsert\n        delete_when: has(msg.gone)\n",
                  int partitions = 1)
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                .pipeline_yaml = mode,
                .partitions = partitions}) {}
};

TEST_F(Repair, WritesWhatIsMissingAndDifferentAndDeletesOnlyIfThatIsMeant) {
  service.feed(records(1, 1000));
  execute(
      "DELETE FROM t WHERE n IN (3, 900); UPDATE t SET s = NULL WHERE n IN (5, 6, 7);"
      "INSERT INTO t VALUES (-1, 'extra', NULL)");
  const std::string text = run({"--repair", "--limit", "1"}, 1);
  EXPECT_TRUE(
      text.contains("  2 missing, 1 extra, 3 different\n"
                    "  repaired: 2 inserted, 3 updated, 0 deleted\n"
                    "  extra rows are still there: --yes-delete-extra deletes them\n"))
      << text;
  expect(verify({}, 1), 0, 1, 0);
  EXPECT_EQ(verify({"--repair", "--yes-delete-extra"})["deleted"], 1);
  expect(verify(), 0, 0, 0);
  EXPECT_FALSE(verify({"--repair"}).empty()) << "nothing to do is no failure";
  EXPECT_TRUE(run({"--yes-delete-extra"}, 2).contains("--repair"));
}

TEST_F(Repair, LosesNoRecordThatComesMeanwhile) {
  service.feed(records(1, 200));
  std::atomic<bool> stop = false;
  int fed = 200;
  std::thread producer([&] {
    for (int round = 0; !stop; ++round) {
      Records all;
      for (int n = 1; n <= 200; ++n) {
        all.push_back(round % 2 == 0 && n % 3 == 0
                          ? std::format(R"({{"n":{},"gone":true}})", n)
                          : std::format(R"({{"n":{},"s":"round {}"}})", n, round));
      }
      service.topic().produce(all);
      fed += 200;
    }
  });
  for (int i = 0; i < 5; ++i) {
    execute("DELETE FROM t WHERE n % 5 = 1; UPDATE t SET s = 'other' WHERE n % 5 = 2");
    // Rows that somebody changes at the same time are a reason to do nothing.
    const auto output = service.run_with_config({"verify", "p", "--repair"}, service.config());
    EXPECT_TRUE(output.status.success() || output.text.contains("run it again")) << output.text;
  }
  stop = true;
  producer.join();
  ASSERT_TRUE(wait_until([&] { return service.applied() == fed; }, 60s));
  EXPECT_TRUE(verify({"--repair"}).contains("deleted"));
  expect(verify(), 0, 0, 0);
}

// It is held while it writes; then the positions' lock is lost, and a record comes that deletes
// what it has inserted and nobody sees yet.
TEST_F(Repair, WritesNothingWhenThePipelineHasGoneOnMeanwhile) {
  service.feed(records(1, 10));
  execute("DELETE FROM t WHERE n = 4; UPDATE t SET s = 'other' WHERE n = 3");
  execute("BEGIN; SELECT FROM t WHERE n = 3 FOR UPDATE");
  auto process = start({"--repair"});
  ASSERT_TRUE(wait_until([&] { return output().contains("waits: "); })) << output();
  execute(
      "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.datname = "
      "current_database() AND a.application_name = 'penstock/verify' AND a.state = 'idle in "
      "transaction'");
  service.feed({R"({"n":4,"gone":true})"});
  execute("COMMIT");
  const auto status = process.wait_for(60s);
  EXPECT_TRUE(status && status->code == 1) << output();
  EXPECT_TRUE(output().contains("positions are no longer held")) << output();
  EXPECT_TRUE(output().contains("nothing was changed; run it again")) << output();
  expect(verify({}, 1), 0, 0, 1);
}

// Frozen while it waits for a lock, and so in the middle: what it held goes within its patience.
TEST_F(Repair, KeepsThePipelineWaitingNoLongerThanItLives) {
  service.feed(records(1, 10));
  execute("DELETE FROM t WHERE n = 3");
  execute("BEGIN; LOCK TABLE penstock.dead_letters");
  auto process = start({"--repair"});
  ASSERT_TRUE(wait_until([&] { return output().contains("waits: a lock is held by"); }))
      << output();
  process.signal(SIGSTOP);
  execute("COMMIT");
  service.topic().produce(records(11, 12));
  EXPECT_TRUE(wait_until([&] { return service.applied() == 12; }, 60s)) << "it waits for ever";
  process.signal(SIGCONT);
  const auto status = process.wait_for(60s);
  EXPECT_TRUE(status && status->code == 1) << output();
  EXPECT_TRUE(output().contains("positions are no longer held")) << output();
  EXPECT_TRUE(output().contains("nothing was changed; run it again")) << output();
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE n = 3"), 0);
  expect(verify({"--repair"}), 1, 0, 0);
}

TEST_F(Repair, SaysWhoHoldsTheLockThatItWaitsFor) {
  service.feed(records(1, 10));
  execute("UPDATE t SET s = 'other' WHERE n = 3");
  const std::string pid = service.database().value("SELECT pg_backend_pid()");
  const auto says = [&](const std::string& lock, const std::vector<std::string>& words) {
    SCOPED_TRACE(lock);
    execute("BEGIN; " + lock);
    auto process = start(words);
    const std::string holder = "waits: a lock is held by process " + pid + " (";
    EXPECT_TRUE(wait_until([&] { return output().contains(holder); })) << output();
    execute("COMMIT");
    const auto status = process.wait_for(60s);
    EXPECT_TRUE(status) << output();
  };
  says("SELECT FROM t WHERE n = 3 FOR UPDATE", {"--repair"});  // a row
  says("LOCK TABLE t", {});                                    // as ALTER TABLE
  says("SELECT FROM penstock.offsets FOR UPDATE", {"--repair"});
  expect(verify(), 0, 0, 0);
}

class RepairAppend : public Repair {
 protected:
  RepairAppend() : Repair("") {}
};

TEST_F(RepairAppend, KeepsTheTableWhenPostgresqlRefusesARow) {
  service.feed(records(1, 10));
  execute(
      "UPDATE t SET s = 'other' WHERE n = 5; DELETE FROM t WHERE n = 7;"
      "ALTER TABLE t ADD CHECK (n <> 7)");
  EXPECT_TRUE(run({"--repair"}, 1).contains("violates check constraint"));
  expect(verify({}, 1), 1, 0, 1);
  execute("ALTER TABLE t DROP CONSTRAINT t_n_check");
  expect(verify({"--repair"}), 1, 0, 1);
  expect(verify(), 0, 0, 0);
}

TEST_F(RepairAppend, DeletesNothingWhereNotAllRecordsAreRead) {
  service.feed(records(1, 10));
  execute("DELETE FROM t WHERE n = 7");
  const std::string text = run({"--from", "5", "--repair", "--yes-delete-extra"}, 2);
  EXPECT_TRUE(text.contains("which rows of \"public\".\"t\" no record makes is not known")) << text;
  expect(verify({"--from", "5", "--repair"}), 1, 0, 0);
  expect(verify(), 0, 0, 0);
}

TEST_F(Repair, GoesWithoutTheFirstRecordsOfTheOnlyPartition) {
  service.feed(records(1, 10));
  execute("UPDATE t SET s = 'other' WHERE n = 5");
  expect(verify({"--from", "2", "--repair"}), 0, 0, 1);
  expect(verify(), 0, 0, 0);
}

class RepairTwoPartitions : public Repair {
 protected:
  RepairTwoPartitions() : Repair("        mode: upsert\n", 2) {}
};

TEST_F(RepairTwoPartitions, IsRefusedWhereARowsNewestRecordMayBeOneThatIsNotRead) {
  service.feed(records(1, 10));
  execute("UPDATE t SET s = 'other' WHERE n = 5");
  EXPECT_TRUE(run({"--partition", "0", "--repair"}, 2)
                  .contains("not all records are read (other partitions are not read)"));
}

TEST_F(Repair, IsRefusedWhereARowsNewestRecordIsNoRowOfTodaysPipeline) {
  service.feed({R"({"n":1,"s":"old"})", R"({"n":2,"s":"old"})", R"({"n":1,"s":"new"})"});
  EXPECT_EQ(service.database().value("SELECT s FROM t WHERE n = 1"), "new");
  std::string config = service.config();
  const std::string column = "s: msg.s";
  ASSERT_TRUE(config.contains(column)) << config;
  // What the pipeline took when it ran, and does not take any more.
  config.replace(config.find(column), column.size(),
                 "s: \"msg.s == 'new' ? string(int(msg.s)) : msg.s\"");
  const auto output = service.run_with_config({"verify", "p", "--repair"}, config);
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("nor rows of the pipeline as it is today (1 record)"))
      << output.text;
  EXPECT_EQ(service.database().value("SELECT s FROM t WHERE n = 1"), "new");
}

class RepairOptional : public Verify {
 protected:
  RepairOptional()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                .columns = {{"n", "msg.n"}, {"s", "msg.?s"}},
                .pipeline_yaml = "        mode: upsert\n"}) {}
};

TEST_F(RepairOptional, IsRefusedWhereNobodyKnowsAllOfARow) {
  service.feed({R"({"n":1,"s":"one"})", R"({"n":1})"});
  execute("DELETE FROM t");
  EXPECT_TRUE(run({"--repair"}, 2).contains("what column 's' has to hold is not known"));
}

}  // namespace
}  // namespace penstock::test
