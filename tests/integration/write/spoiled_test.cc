// Records whose trigger ends the session, or leaves it in a state in which nothing more can be
// done: whoever does it alone is a dead letter, and everybody else is written. What ends sessions
// otherwise is nobody's record's fault.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/tcp_proxy.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

constexpr const char* kEndsItself = "PERFORM pg_terminate_backend(pg_backend_pid());";

class SpoiledTest : public WriteTest {
 protected:
  void for_thirteen(const std::string& statements) {
    before_each_row("IF NEW.amount = 13 THEN " + statements + " END IF;");
  }
  std::string letters() {
    return database_.value(
        "SELECT coalesce(string_agg(concat_ws(' ', \"offset\", sqlstate, reason), ', ' ORDER BY "
        "\"offset\"), '') FROM penstock.dead_letters");
  }
  // The trigger stays, so that the table is what it was.
  void forget_act() {
    database_.execute(
        "CREATE OR REPLACE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; "
        "END $$");
  }
  void end_lanes() {
    static_cast<void>(database_.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
        "'penstock/lane-0' AND datname = current_database() AND state = 'active' AND query !~ "
        "'pg_stat_activity'"));
  }
  // A role that may do nothing.
  std::string nobody() {
    const std::string role = test::unique_name("nobody");
    database_.execute("CREATE ROLE " + role);
    return role;
  }
};

TEST_F(SpoiledTest, WhoEndsItsOwnBackendIsADeadLetterAndItsNeighboursAreWritten) {
  for_thirteen(kEndsItself);
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 100));
    lane.push(rows(0, 100, 100));
    ASSERT_TRUE(lane.close(in_seconds(60))) << letters();
    EXPECT_EQ(letters(), "13 57P01 connection_lost, 113 57P01 connection_lost");
    EXPECT_TRUE(database_.value("SELECT message FROM penstock.dead_letters WHERE \"offset\" = 13")
                    .contains("PL/pgSQL function act()"));
    EXPECT_EQ(ids().size(), 198U);
    EXPECT_TRUE(std::ranges::is_sorted(ids()));
    EXPECT_EQ(record.committed_rows(), 198U);
    EXPECT_EQ(position(0), 200);
    ASSERT_FALSE(record.stalls().empty());
    const auto first = record.stalls().front();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->kind, Stall::Kind::waits) << first->error.to_string();
    EXPECT_TRUE(first->error.message.contains(
        "the connection ends each time that the same records are written, and a new one works"))
        << first->error.message;
    EXPECT_FALSE(record.stalls().back().has_value());
  }
}

TEST_F(SpoiledTest, WhoEndsItsOwnBackendAtCommitIsADeadLetter) {
  database_.execute(
      "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount = 13 THEN "
      "PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION late()");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 100));
    ASSERT_TRUE(lane.close(in_seconds(60))) << letters();
    EXPECT_EQ(letters(), "13 57P01 connection_lost");
    EXPECT_EQ(ids().size(), 99U);
    EXPECT_EQ(record.committed_rows(), 99U);
  }
}

TEST_F(SpoiledTest, WhoEndsItsOwnBackendBesideOneThatIsRefusedIsFound) {
  before_each_row(std::string("IF NEW.amount = 12 THEN RAISE EXCEPTION 'twelve'; END IF; "
                              "IF NEW.amount = 13 THEN ") +
                  kEndsItself + " END IF;");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 100));
    ASSERT_TRUE(lane.close(in_seconds(60))) << letters();
    EXPECT_EQ(letters(), "12 P0001 raised_by_trigger, 13 57P01 connection_lost");
    EXPECT_EQ(ids().size(), 98U);
  }
}

TEST_F(SpoiledTest, TheLastOneWaitsForANeighbourAndSaysSo) {
  before_each_row(std::string("IF NEW.amount = 2 THEN ") + kEndsItself + " END IF;");
  begin_anew();
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 3));
  ASSERT_TRUE(soon([&] { return position(0) == 2 && record_.stall().has_value(); }));
  ASSERT_TRUE(soon([&] {
    const auto stall = record_.stall();
    return stall && stall->error.message.contains("orders, partition 0, offset 2 on");
  }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::waits);
  const auto failed = lane.counters().transactions_failed.value();
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 3; }));
  EXPECT_EQ(letters(), "");
  lane.push(rows(0, 3, 1));
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(letters(), "2 57P01 connection_lost");
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{0, 1, 3}));
}

TEST_F(SpoiledTest, TheLastOneOfItsLaneHasNeighboursOnOthers) {
  before_each_row(std::string("IF NEW.id = 2 THEN ") + kEndsItself + " END IF;");
  claim(0);
  claim(1);
  Options chosen = options();
  chosen.lanes.lanes = 2;
  Lanes lanes(chosen.lanes);
  const auto writer = lanes.attach(chosen.writer, record_);
  for (const std::int32_t partition : {0, 1}) writer->adopt(chain(partition));
  ASSERT_NE(chain(0)->lane, chain(1)->lane);
  lanes.start();
  writer->accept(rows(0, 0, 3));
  Offset next = 0;
  ASSERT_TRUE(soon([&] {
    writer->accept(rows(1, next, 1));
    ++next;
    std::this_thread::sleep_for(5ms);
    return position(0) == 3;
  }));
  EXPECT_EQ(letters(), "2 57P01 connection_lost");
  EXPECT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  EXPECT_EQ(position(1), next);
  lanes.stop();
}

TEST_F(SpoiledTest, TheBrakeHoldsForWhoEndsItsOwnBackend) {
  before_each_row(std::string("IF NEW.amount % 4 = 1 THEN ") + kEndsItself + " END IF;");
  begin_anew();
  Options chosen = options();
  chosen.writer.reject_limit = 3;
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 20));
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  EXPECT_EQ(letters(), "1 57P01 connection_lost, 5 57P01 connection_lost");
  EXPECT_EQ(position(0), 9) << "before the third";
}

TEST_F(SpoiledTest, WhatEveryRecordDoesMakesNoDeadLetters) {
  before_each_row(kEndsItself);
  begin_anew();
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 40));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  const auto failed = lane.counters().transactions_failed.value();
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 30; }));
  EXPECT_EQ(letters(), "");
  forget_act();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 40U);
  EXPECT_EQ(letters(), "");
}

TEST_F(SpoiledTest, SessionsThatSomebodyElseEndsAreNoRecordsFault) {
  before_each_row("PERFORM pg_sleep(0.02);");
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 20));
    // Every one of them in the middle of the same rows.
    for (std::uint64_t ended = lane.reconnects() + 1; ended <= 6; ++ended) {
      ASSERT_TRUE(soon([&] {
        end_lanes();
        return lane.reconnects() >= ended;
      }));
    }
    ASSERT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(ids().size(), 20U);
    EXPECT_EQ(record.committed_rows(), 20U);
  }
}

TEST_F(SpoiledTest, AServerThatIsAwayInBetweenEndsTheSuspicion) {
  const std::string conninfo = test::shared_postgres();
  test::TcpProxy proxy(
      static_cast<std::uint16_t>(std::stoi(conninfo.substr(conninfo.find("port=") + 5))));
  before_each_row(std::string("IF NEW.amount = 0 THEN ") + kEndsItself + " END IF;");
  begin_anew();
  Options chosen = options();
  chosen.lanes.conninfo += " host=127.0.0.1 port=" + std::to_string(proxy.port());
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  const auto failed = lane.counters().transactions_failed.value();
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 2; }));
  proxy.refuse(true);
  ASSERT_TRUE(soon([&] { return record_.stall() && record_.stall()->kind == Stall::Kind::away; }));
  BatchBuilder next = builder(0, 1, 1);
  lane.push(next.row({int8(1), text("x"), int4(1)}).build());
  const auto before = lane.reconnects();
  proxy.refuse(false);
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(letters(), "0 57P01 connection_lost");
  // Three that may be anybody's, both together, then the one alone, three times.
  EXPECT_GE(lane.reconnects() - before, 7U);
}

TEST_F(SpoiledTest, WhoSpoilsItsTransactionOrSessionIsADeadLetter) {
  const std::string role = nobody();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"DEALLOCATE ALL;", "26000 transaction_spoiled"},
      {"DISCARD ALL;", "25001 refused_by_postgresql"},
      {"SET LOCAL transaction_read_only = on;", "25006 transaction_spoiled"},
      {"SET LOCAL ROLE " + role + ";", "42501 transaction_spoiled"},
      {"SET ROLE " + role + ";", "42501 transaction_spoiled"},
      {"SET LOCAL client_encoding = 'LATIN1';", "55P02 transaction_spoiled"},
      {"DELETE FROM penstock.offsets;", "PS001 transaction_spoiled"},
      {"UPDATE penstock.offsets SET next_offset = next_offset + 1;", "PS001 transaction_spoiled"},
      {"UPDATE penstock.offsets SET epoch = epoch + 1;", "PS001 transaction_spoiled"},
  };
  for (const auto& [statement, expected] : cases) {
    for_thirteen(statement);
    for (const bool copy : {true, false}) {
      begin_anew();
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 100));
      ASSERT_TRUE(lane.close(in_seconds(60))) << statement << copy;
      EXPECT_EQ(letters(), "13 " + expected) << statement << copy;
      EXPECT_EQ(ids().size(), 99U) << statement;
      EXPECT_EQ(record.committed_rows(), 99U) << statement;
      EXPECT_TRUE(record.fenced().empty()) << statement;
    }
  }
  database_.execute("DROP ROLE " + role);
}

TEST_F(SpoiledTest, WhatSpoilsTheTransactionsOfAllMakesNoDeadLetters) {
  for (const std::string statement :
       {"DEALLOCATE ALL;", "SET LOCAL transaction_read_only = on;",
        "UPDATE penstock.offsets SET next_offset = next_offset + 1;"}) {
    before_each_row(statement);
    begin_anew();
    Record record;
    TestLane lane(options(), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 40));
    ASSERT_TRUE(soon([&] { return record.stall().has_value(); })) << statement;
    const auto failed = lane.counters().transactions_failed.value();
    ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 20; }));
    EXPECT_EQ(letters(), "") << statement;
    forget_act();
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(ids().size(), 40U);
    EXPECT_EQ(letters(), "") << statement;
  }
}

TEST_F(SpoiledTest, WhatARecordSetsHarmsNobodyElse) {
  for (const std::string setting :
       {"search_path = nowhere", "search_path = ''", "session_replication_role = replica",
        "lock_timeout = 1", "statement_timeout = 1", "idle_in_transaction_session_timeout = 1",
        "default_transaction_read_only = on", "default_transaction_isolation = serializable",
        "work_mem = '64kB'", "DateStyle = 'German'", "bytea_output = 'escape'",
        "check_function_bodies = off", "row_security = off", "synchronous_commit = off"}) {
    for (const std::string how : {"SET LOCAL ", "SET "}) {
      for_thirteen(how + setting + ";");
      begin_anew();
      Record record;
      TestLane lane(options(), record, in_flight_);
      lane.start();
      for (Offset from = 0; from < 200; from += 20) lane.push(rows(0, from, 20));
      ASSERT_TRUE(lane.close(in_seconds(60))) << how << setting;
      EXPECT_EQ(database_.number("SELECT count(*) FROM penstock.dead_letters WHERE \"offset\" % 20 "
                                 "<> 13"),
                0)
          << how << setting << ": " << letters();
      EXPECT_EQ(ids().size() + static_cast<std::size_t>(dead_letters()), 200U) << how << setting;
      EXPECT_TRUE(std::ranges::is_sorted(ids()));
      EXPECT_EQ(position(0), 200);
    }
  }
}

TEST_F(SpoiledTest, WhatARecordLocksOrThrowsAwayHarmsNobody) {
  for (const std::string statement :
       {"LOCK TABLE t IN ACCESS EXCLUSIVE MODE;", "LOCK TABLE penstock.offsets;", "DISCARD PLANS;",
        "DISCARD TEMP;", "DISCARD SEQUENCES;", "PERFORM pg_advisory_lock(13);",
        "LISTEN penstock;"}) {
    for_thirteen(statement);
    for (const bool copy : {true, false}) {
      begin_anew();
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 100));
      lane.push(rows(0, 100, 100));
      ASSERT_TRUE(lane.close(in_seconds(20))) << statement;
      EXPECT_EQ(ids().size(), 200U) << statement;
      EXPECT_EQ(letters(), "") << statement;
    }
  }
}

}  // namespace
}  // namespace penstock::write
