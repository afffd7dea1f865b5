// Whose fault a failure is: what one record alone raises is that record's, whatever its SQLSTATE;
// what all raise is the table's or the server's, and makes no dead letters.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "core/log.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

// One of each class of PostgreSQL's, and some that are nobody's.
constexpr std::array kCodes{"08006", "0A000", "21000", "23514", "25006", "26000", "28000",
                            "2D000", "34000", "38000", "3F000", "40001", "40P01", "42501",
                            "42P01", "42703", "53100", "53200", "53300", "53400", "54001",
                            "55000", "55P03", "57014", "57P01", "58030", "F0000", "HV000",
                            "P0001", "PS001", "XX000", "XX001", "ZZ999"};

class BlameTest : public WriteTest {
 protected:
  std::string letters() {
    return database_.value(
        "SELECT coalesce(string_agg(\"offset\" || ' ' || sqlstate, ', ' ORDER BY \"offset\"), '') "
        "FROM penstock.dead_letters");
  }
};

TEST_F(BlameTest, WhateverOneRecordRaisesItsNeighboursAreWritten) {
  for (const std::string code : kCodes) {
    before_each_row("IF NEW.amount = 13 THEN RAISE EXCEPTION 'thirteen' USING ERRCODE = '" + code +
                    "'; END IF;");
    for (const bool copy : {true, false}) {
      begin_anew();
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 100));
      ASSERT_TRUE(lane.close(in_seconds(30))) << code << (copy ? " by COPY" : " by INSERT");
      EXPECT_EQ(letters(), "13 " + code);
      EXPECT_EQ(ids().size(), 99U) << code;
      EXPECT_TRUE(std::ranges::is_sorted(ids()));
      EXPECT_EQ(record.committed_rows(), 99U) << code;
    }
  }
}

TEST_F(BlameTest, WhateverAllRecordsRaiseIsSaidAndMakesNoDeadLetters) {
  for (const std::string code : kCodes) {
    before_each_row("RAISE EXCEPTION 'closed today' USING ERRCODE = '" + code + "';");
    for (const bool copy : {true, false}) {
      begin_anew();
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 100));
      ASSERT_TRUE(soon([&] { return record.stall().has_value(); })) << code;
      const std::optional<Stall> stall = record.stall();
      EXPECT_EQ(stall->error.sqlstate, code);
      EXPECT_TRUE(stall->error.message.contains("closed today")) << stall->error.message;
      const auto failed = lane.counters().transactions_failed.value();
      ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 2; }))
          << code << " is not tried again";
      EXPECT_EQ(letters(), "");
      database_.execute("ALTER TABLE t DISABLE TRIGGER act");
      EXPECT_TRUE(lane.close(in_seconds(20))) << code;
      EXPECT_EQ(ids().size(), 100U);
      database_.execute("ALTER TABLE t ENABLE TRIGGER act");
    }
  }
}

TEST_F(BlameTest, RecordsThatRaiseDifferentThingsAreAllFound) {
  before_each_row(
      "IF NEW.amount IN (3, 60) THEN RAISE EXCEPTION 'a' USING ERRCODE = 'XX000'; END IF;"
      "IF NEW.amount = 20 THEN RAISE EXCEPTION 'b' USING ERRCODE = '42501'; END IF;"
      "IF NEW.amount = 30 THEN RAISE EXCEPTION 'c' USING ERRCODE = '40001'; END IF;"
      "IF NEW.amount = 40 THEN RAISE EXCEPTION 'd' USING ERRCODE = '57014'; END IF;"
      "IF NEW.amount = 50 THEN RAISE EXCEPTION 'e'; END IF;");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 600));
    ASSERT_TRUE(lane.close(in_seconds(30)));
    EXPECT_EQ(letters(), "3 XX000, 20 42501, 30 40001, 40 57014, 50 P0001, 60 XX000");
    EXPECT_EQ(ids().size(), 594U);
  }
}

// The group is written carefully because of the first one: the others are met in there.
TEST_F(BlameTest, WhateverOneRecordRaisesAfterOneThatIsRefusedItsNeighboursAreWritten) {
  for (const std::string code : kCodes) {
    before_each_row(
        "IF NEW.amount = 3 THEN RAISE EXCEPTION 'three'; END IF; IF NEW.amount = 13 THEN "
        "RAISE EXCEPTION 'thirteen' USING ERRCODE = '" +
        code + "'; END IF;");
    for (const bool copy : {true, false}) {
      begin_anew();
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 100));
      ASSERT_TRUE(lane.close(in_seconds(30))) << code << (copy ? " by COPY" : " by INSERT");
      EXPECT_EQ(letters(), "3 P0001, 13 " + code);
      EXPECT_EQ(ids().size(), 98U) << code;
    }
  }
}

// Likewise where both are found at COMMIT only.
TEST_F(BlameTest, AnOddRefusalAtCommitAfterAnotherOneIsFound) {
  database_.execute(
      "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount = 3 THEN "
      "RAISE EXCEPTION 'three'; END IF; IF NEW.amount = 13 THEN "
      "RAISE EXCEPTION 'late' USING ERRCODE = 'XX000'; END IF; RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION late()");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 100));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(letters(), "3 P0001, 13 XX000");
    EXPECT_EQ(ids().size(), 98U);
  }
}

TEST_F(BlameTest, ARecordThatItsTriggerSendsToATableThatIsNotThereIsADeadLetter) {
  database_.execute("CREATE TABLE t_1 (id bigint)");
  before_each_row("EXECUTE format('INSERT INTO %I VALUES ($1)', 't_' || NEW.amount) USING NEW.id;");
  begin_anew();
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 100; ++i) batch.row({int8(i), text("x"), int4(i == 42 ? 2 : 1)});
  lane.push(batch.build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(letters(), "42 42P01");
  EXPECT_EQ(database_.number("SELECT count(*) FROM t_1"), 99);
}

TEST_F(BlameTest, AnOddRefusalAtCommitIsFound) {
  database_.execute(
      "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount = 13 THEN "
      "RAISE EXCEPTION 'late' USING ERRCODE = 'XX000'; END IF; RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION late()");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 100));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(letters(), "13 XX000");
    EXPECT_EQ(ids().size(), 99U);
  }
}

TEST_F(BlameTest, ASequenceAtItsEndIsNoRecordsFault) {
  database_.execute(
      "CREATE SEQUENCE numbers MAXVALUE 7; CREATE TABLE numbered (id bigint, number bigint NOT "
      "NULL "
      "DEFAULT nextval('numbers'), seq bigserial)");
  claim(0);
  TestLane lane(options("numbered"), record_, in_flight_);
  lane.start();
  for (int i = 0; i < 10; ++i) {
    lane.push(builder(0, 1, i).shape({0}).row({int8(i)}).build());
    if (!soon([&] { return record_.stall() || record_.committed_batches() > std::size_t(i); })) {
      FAIL();
    }
    if (record_.stall()) break;
  }
  ASSERT_TRUE(record_.stall());
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
  EXPECT_EQ(record_.stall()->error.sqlstate, "2200H");
  EXPECT_EQ(letters(), "");
  database_.execute("ALTER SEQUENCE numbers MAXVALUE 100");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM numbered"), 8);
}

TEST_F(BlameTest, APartitionThatIsMissingForAllIsNoRecordsFault) {
  database_.execute(
      "CREATE TABLE days (id bigint, day int NOT NULL, seq bigserial) PARTITION BY RANGE (day);"
      "CREATE TABLE today PARTITION OF days FOR VALUES FROM (10) TO (11)");
  claim(0);
  TestLane lane(options("days"), record_, in_flight_);
  lane.start();
  BatchBuilder first = builder(0, 1, 0);
  first.row({int8(0), int4(3)});
  for (int i = 1; i < 100; ++i) first.row({int8(i), int4(10)});
  lane.push(first.build());
  ASSERT_TRUE(soon([&] { return record_.committed_batches() == 1; }));
  EXPECT_EQ(letters(), "0 23514");
  BatchBuilder tomorrow = builder(0, 1, 100);
  for (int i = 100; i < 1100; ++i) tomorrow.row({int8(i), int4(11)});
  lane.push(tomorrow.build());
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_TRUE(record_.stall()->error.message.contains("no partition of relation \"days\""))
      << record_.stall()->error.message;
  EXPECT_EQ(letters(), "0 23514");
  database_.execute("CREATE TABLE tomorrow PARTITION OF days FOR VALUES FROM (11) TO (12)");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM days"), 1099);
}

TEST_F(BlameTest, ADeadLetterSaysWhereInTheTriggerItWasRefusedAndWhatItsAuthorAdvises) {
  before_each_row(
      "IF NEW.amount = 3 THEN RAISE EXCEPTION 'unlucky' USING DETAIL = 'three', HINT = 'take "
      "four'; END IF;");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 10));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(database_.value("SELECT message FROM penstock.dead_letters"),
              "unlucky: three (hint: take four) [PL/pgSQL function act() line 1 at RAISE]");
  }
}

TEST_F(BlameTest, RowsThatATriggerSwallowsAreNotCounted) {
  before_each_row(
      "IF NEW.amount = 7 THEN RAISE EXCEPTION 'no'; END IF; "
      "IF NEW.amount % 10 = 0 THEN RETURN NULL; END IF;");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 600));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(ids().size(), 539U);
    EXPECT_EQ(record.committed_rows(), 539U);
    EXPECT_EQ(lane.counters().rows.value(), 539U);
    std::uint64_t unchanged = 0;
    for (const CommitStats& stats : record.commits()) unchanged += stats.unchanged_rows;
    EXPECT_EQ(unchanged, 60U);
  }
}

TEST_F(BlameTest, TheLogSaysWhichRowsPostgresqlRefusedAndWhyWithoutWhatIsInThem) {
  static std::mutex mutex;
  static std::string lines;
  lines.clear();
  set_log_sink([](LogLevel, std::string_view event, std::span<const LogField> fields) {
    const std::lock_guard lock(mutex);
    lines += event;
    for (const LogField& field : fields) {
      lines += " ";
      lines += field.name;
      lines += "=";
      if (const auto* text = std::get_if<std::string>(&field.value)) lines += *text;
      if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
        lines += std::to_string(*number);
      }
    }
    lines += "\n";
  });
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.push(builder(0, 1, 0)
                .row({int8(1), text("good"), int4(1)})
                .row({int8(2), text("bad"), int4(1)})
                .row({int8(3), text("bad"), int4(1)})
                .build());
  lane.start();
  const bool closed = lane.close(in_seconds(20));
  set_log_sink({});
  ASSERT_TRUE(closed);
  EXPECT_TRUE(
      lines.contains("records_rejected pipeline=p topic=orders partition=0 offset=1 "
                     "stage=write first_reason=check_violation sqlstate=23514 table=t "
                     "column= constraint=t_name_check rejected=2"))
      << lines;
  EXPECT_FALSE(lines.contains("Failing row")) << lines;
}

}  // namespace
}  // namespace penstock::write
