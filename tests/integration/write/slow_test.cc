// Statements that take too long, locks, and failures that do not go away: everything gets through,
// what cannot becomes a dead letter, and what is waited for is said.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

class SlowTest : public WriteTest {
 protected:
  Options impatient() {
    Options chosen = options();
    chosen.lanes.statement_timeout = 300ms;
    return chosen;
  }
  std::string letters() {
    return database_.value(
        "SELECT string_agg(\"offset\" || ' ' || reason, ', ' ORDER BY \"offset\") FROM "
        "penstock.dead_letters");
  }
};

TEST_F(SlowTest, ABatchThatIsSlowerThanStatementTimeoutGetsThroughInParts) {
  before_each_row("PERFORM pg_sleep(0.01);");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    Options chosen = impatient();
    chosen.writer.copy_from_rows = copy ? 1 : 1'000'000;
    TestLane lane(chosen, record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 200));
    lane.push(rows(0, 200, 3));
    ASSERT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(position(0), 203);
    EXPECT_EQ(chain(0)->committed(), 203);
    EXPECT_EQ(ids().size(), 203U);
    EXPECT_TRUE(std::ranges::is_sorted(ids()));
    EXPECT_EQ(dead_letters(), 0);
    EXPECT_EQ(record.committed_rows(), 203U);
    EXPECT_EQ(record.committed_ranges(), (std::vector<std::string>{"0:0-200", "0:200-203"}));
    EXPECT_GE(record.commits().size(), 8U);
  }
}

TEST_F(SlowTest, APartOfABatchTakesItsDeadLettersWithIt) {
  before_each_row("PERFORM pg_sleep(0.02);");
  claim(0);
  TestLane lane(impatient(), record_, in_flight_);
  lane.start();
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 60; ++i) {
    if (i % 10 == 7) {
      batch.reject(Stage::compute, "own_reason", "m", "v");
    } else if (i % 10 == 8) {
      batch.filtered();
    } else {
      batch.row({int8(i), text("x"), int4(i)});
    }
  }
  lane.push(batch.build());
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(position(0), 60);
  EXPECT_EQ(ids().size(), 48U);
  EXPECT_EQ(letters(),
            "7 own_reason, 17 own_reason, 27 own_reason, 37 own_reason, 47 own_reason, "
            "57 own_reason");
}

TEST_F(SlowTest, TransactionTimeoutIsHalvedThoughItEndsTheSession) {
  if (database_.number("SHOW server_version_num") >= 170'000) {
    before_each_row("PERFORM pg_sleep(0.01);");
    database_.execute("ALTER DATABASE " + database_.name() + " SET transaction_timeout = '300ms'");
  } else {  // an older server does not have it: a transaction of more than 20 rows fails like that
    before_each_row(
        "IF (SELECT count(*) FROM t WHERE xmin = pg_current_xact_id()::xid) >= 20 THEN RAISE "
        "EXCEPTION 'too long' USING ERRCODE = '25P04'; END IF;");
  }
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 100));
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(position(0), 100);
  EXPECT_EQ(ids().size(), 100U);
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(SlowTest, ARecordThatIsTooSlowAloneIsADeadLetterBecauseItsNeighbourPasses) {
  before_each_row("IF NEW.amount IN (5, 13, 14) THEN PERFORM pg_sleep(1); END IF;");
  claim(0);
  TestLane lane(impatient(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 20));
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(letters(), "5 too_slow, 13 too_slow, 14 too_slow");
  EXPECT_EQ(ids().size(), 17U);
  EXPECT_TRUE(std::ranges::is_sorted(ids()));
  EXPECT_EQ(record_.committed_rows(), 17U);
}

TEST_F(SlowTest, ATableThatIsTooSlowForEveryRecordMakesNoDeadLetters) {
  before_each_row("PERFORM pg_sleep(1);");
  claim(0);
  TestLane lane(impatient(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 4));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::waits);
  EXPECT_EQ(record_.stall()->error.sqlstate, "57014");
  const auto failed = lane.counters().transactions_failed.value();
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 8; }));
  EXPECT_EQ(dead_letters(), 0);
  database_.execute("DROP TRIGGER act ON t");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 4U);
  EXPECT_EQ(record_.stall_kinds(), (std::vector<std::string>{"waits", ""}));
}

TEST_F(SlowTest, ASlowRecordAtTheEndWaitsForANeighbour) {
  before_each_row("IF NEW.amount = 2 THEN PERFORM pg_sleep(1); END IF;");
  claim(0);
  TestLane lane(impatient(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 3));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(dead_letters(), 0);
  lane.push(rows(0, 3, 1));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(letters(), "2 too_slow");
  EXPECT_EQ(ids().size(), 3U);
}

TEST_F(SlowTest, OneRecordThatNeverSerializesIsADeadLetter) {
  before_each_row(
      "IF NEW.amount = 13 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 600));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(letters(), "13 serialization_failure");
    EXPECT_EQ(ids().size(), 599U);
    EXPECT_TRUE(std::ranges::is_sorted(ids()));
  }
}

// Because of the slow one, a transaction takes the one before it alone, and of that nobody can say
// whose fault it is: it needs a neighbour that passes, and the next one does not.
TEST_F(SlowTest, OneThatNeverSerializesBeforeOneThatIsTooSlowFindsANeighbour) {
  before_each_row(
      "IF NEW.id = 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;"
      "IF NEW.id = 4 THEN PERFORM pg_sleep(1); END IF;");
  claim(0);
  TestLane lane(impatient(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{0, 1, 2, 5, 6, 7, 8, 9}));
  EXPECT_EQ(letters(), "3 serialization_failure, 4 too_slow");
}

TEST_F(SlowTest, WhatNeverSerializesIsSaidAfterAFewTries) {
  before_each_row("RAISE EXCEPTION 'again' USING ERRCODE = '40001';");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 5));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::waits);
  EXPECT_EQ(record_.stall()->error.sqlstate, "40001");
  EXPECT_EQ(record_.stall()->error.message, "again");
  EXPECT_EQ(dead_letters(), 0);
  database_.execute("DROP TRIGGER act ON t");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 5U);
}

TEST_F(SlowTest, ASqlstateOfSomebodysOwnIsTheRowsFaultOnlyIfANeighbourPasses) {
  before_each_row("IF NEW.amount = 0 THEN RAISE EXCEPTION 'own' USING ERRCODE = 'AB123'; END IF;");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->error.sqlstate, "AB123");
  EXPECT_EQ(dead_letters(), 0);
  lane.push(builder(0, 1, 1).row({int8(1), text("x"), int4(1)}).build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(letters(), "0 refused_by_postgresql");
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{1}));
}

TEST_F(SlowTest, SaysWhoHoldsTheLockThatItWaitsFor) {
  claim(0);
  Options chosen = options();
  chosen.lanes.lock_timeout = 50ms;
  database_.execute("BEGIN; LOCK TABLE t IN SHARE MODE");
  const std::string pid = database_.value("SELECT pg_backend_pid()");
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::waits);
  EXPECT_TRUE(record_.stall()->error.message.contains("process " + pid + " ("))
      << record_.stall()->error.message;
  database_.execute("COMMIT");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.stall_kinds().back(), "");
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(SlowTest, CommitsComeSeldomerWhenTheFenceBecomesSlow) {
  database_.execute(
      "ALTER FUNCTION penstock.advance RENAME TO advance_at_once;"
      "CREATE FUNCTION penstock.advance(text, text[], int[], bigint[], bigint[], bigint[], int[]) "
      "RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.007); "
      "PERFORM penstock.advance_at_once($1, $2, $3, $4, $5, $6, $7); END $$");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  constexpr std::size_t kCommits = 45;
  for (std::size_t i = 0; i < kCommits; ++i) {
    lane.push(rows(0, static_cast<Offset>(i), 1));
    ASSERT_TRUE(soon([&] { return record_.committed_batches() == i + 1; }));
  }
  const std::vector<CommitStats> commits = record_.commits();
  for (std::size_t i = 0; i < kCommits; ++i) {
    EXPECT_GE(commits[i].fence, 7ms);
    EXPECT_LE(commits[i].fence, commits[i].end - commits[i].begin);
    if (i > kCommits - 5) {
      EXPECT_GE(commits[i].begin - commits[i - 1].begin, 15ms);
    }
  }
  EXPECT_EQ(lane.counters().fence.snapshot().total(), kCommits);
}

}  // namespace
}  // namespace penstock::write
