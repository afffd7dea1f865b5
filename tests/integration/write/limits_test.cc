// Limits of the role that Penstock connects as: batches become smaller, or it waits and says for
// what.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "harness/local_postgres.h"
#include "harness/sql.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

class LimitsTest : public WriteTest {
 protected:
  LimitsTest() : role_("role_" + database_.name()) {
    database_.execute(
        "CREATE ROLE " + role_ + " LOGIN PASSWORD 'its-own'; GRANT USAGE ON SCHEMA penstock TO " +
        role_ + "; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA penstock, public TO " +
        role_ + "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA penstock, public TO " + role_);
  }
  ~LimitsTest() override {
    database_.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '" + role_ +
        "'; DROP OWNED BY " + role_ + "; DROP ROLE " + role_);
  }
  void limit(const std::string& what) { database_.execute("ALTER ROLE " + role_ + " " + what); }
  Options limited() {
    Options chosen = options();
    chosen.lanes.conninfo += " user=" + role_ + " password=its-own";
    chosen.lanes.backoff_max = 50ms;
    return chosen;
  }
  std::int64_t sessions() {
    return database_.number("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role_ +
                            "'");
  }
  bool is_said(const std::string& words) {
    for (const std::optional<Stall>& stall : record_.stalls()) {
      if (stall && stall->error.to_string().contains(words)) return true;
    }
    return false;
  }
  // A batch that takes too long as a whole.
  void expect_parts(const std::string& name) {
    before_each_row("PERFORM pg_sleep(0.01);");
    claim(0);
    TestLane lane(limited(), record_, in_flight_);
    lane.push(rows(0, 0, 200));
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(position(0), 200);
    EXPECT_EQ(dead_letters(), 0);
    EXPECT_GE(record_.commits().size(), 4U) << name << " makes transactions smaller";
  }

  const std::string role_;
};

TEST_F(LimitsTest, AShorterStatementTimeoutMakesBatchesSmaller) {
  limit("SET statement_timeout = '300ms'");
  expect_parts("statement_timeout");
}

TEST_F(LimitsTest, ATransactionTimeoutMakesBatchesSmaller) {
  if (database_.number("SELECT current_setting('server_version_num')::int") < 170'000) {
    return;  // it came with PostgreSQL 17
  }
  limit("SET transaction_timeout = '400ms'");
  expect_parts("transaction_timeout");
}

TEST_F(LimitsTest, WhatEndedAStatementIsNamed) {
  limit("SET statement_timeout = '100ms'");
  before_each_row("PERFORM pg_sleep(1);");
  claim(0);
  TestLane lane(limited(), record_, in_flight_);
  lane.push(rows(0, 0, 1));
  lane.start();
  EXPECT_TRUE(soon([&] { return is_said("the limit is statement_timeout"); }));
  EXPECT_EQ(position(0), 0);
  EXPECT_EQ(dead_letters(), 0) << "no neighbour passes: nobody knows that it is the record's";
}

// ---- Who holds a lock that is waited for --------------------------------------------------------

class LockHolderTest : public LimitsTest {
 protected:
  LockHolderTest() {
    limit("SET lock_timeout = '100ms'");
    claim(0);
  }
  void SetUp() override {
    lane_.start();
    ASSERT_TRUE(soon([&] { return lane_.status().connected; }));
  }
  // Of the session of this test's own.
  static std::string process(harness::Sql& session) {
    return "process " + *session.value("SELECT pg_backend_pid()") + " (";
  }
  static std::string plain() { return "what it does is shown to pg_monitor and"; }
  void expect_to_be_written() {
    ASSERT_TRUE(lane_.close(in_seconds(20)));
    EXPECT_EQ(position(0), 1);
  }

  TestLane lane_{limited(), record_, in_flight_};
  harness::Sql holder_ = *harness::Sql::connect(database_.conninfo());
};

TEST_F(LockHolderTest, IsAnAlterTableThatWaitsItselfAndWhoIsBeforeIt) {
  ASSERT_TRUE(holder_.execute("BEGIN; SELECT FROM t"));
  harness::Sql alters = *harness::Sql::connect(database_.conninfo());
  const std::string altering = process(alters);
  std::jthread alter([&] { EXPECT_TRUE(alters.execute("ALTER TABLE t ADD COLUMN more int")); });
  ASSERT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
               "'t'::regclass") == 1;
  }));
  lane_.push(rows(0, 0, 1));
  EXPECT_TRUE(soon([&] { return is_said("a lock is wanted by " + altering); }));
  EXPECT_TRUE(is_said("AccessExclusiveLock on t)"));
  EXPECT_TRUE(is_said("it waits itself for " + process(holder_)));
  EXPECT_TRUE(is_said(plain())) << "to this role it is not shown";
  ASSERT_TRUE(holder_.execute("COMMIT"));
  alter.join();
}

TEST_F(LockHolderTest, IsAPreparedTransaction) {
  const std::string name = "prepared_" + database_.name();
  ASSERT_TRUE(
      holder_.execute("BEGIN; LOCK TABLE t IN SHARE MODE; PREPARE TRANSACTION '" + name + "'"));
  lane_.push(rows(0, 0, 1));
  EXPECT_TRUE(soon([&] { return is_said("held by the prepared transaction '" + name + "'"); }));
  EXPECT_TRUE(is_said("COMMIT PREPARED or ROLLBACK PREPARED '" + name + "' ends"));
  ASSERT_TRUE(holder_.execute("ROLLBACK PREPARED '" + name + "'"));
  expect_to_be_written();
}

TEST_F(LockHolderTest, IsNamedForTheTableOfDeadLettersToo) {
  database_.execute("GRANT SELECT, INSERT ON penstock.dead_letters TO PUBLIC");
  ASSERT_TRUE(holder_.execute("BEGIN; LOCK TABLE penstock.dead_letters IN SHARE MODE"));
  BatchBuilder bad = builder(0, 1, 0);
  bad.reject(Stage::parse, "invalid_json", "not JSON", "{");
  lane_.push(bad.build());
  EXPECT_TRUE(soon([&] { return is_said("a lock is held by " + process(holder_)); }));
  EXPECT_TRUE(is_said("ShareLock on penstock.dead_letters)"));
  ASSERT_TRUE(holder_.execute("COMMIT"));
  expect_to_be_written();
}

TEST_F(LockHolderTest, IsNamedByALaneThatCannotEvenConnectForIt) {
  ASSERT_TRUE(holder_.execute("BEGIN; LOCK TABLE penstock.dead_letters"));
  Options chosen = limited();
  chosen.lanes.breaker_failures = 1;
  TestLane late(chosen, record_, in_flight_);
  late.start();
  EXPECT_TRUE(soon([&] { return is_said("a lock is held by " + process(holder_)); }))
      << late.status().waiting_for;
  ASSERT_TRUE(holder_.execute("COMMIT"));
  EXPECT_TRUE(soon([&] { return late.status().connected; }));
}

TEST_F(LimitsTest, AShorterLockTimeoutIsObeyedAndNamed) {
  limit("SET lock_timeout = '100ms'");
  claim(0);
  TestLane lane(limited(), record_, in_flight_);
  lane.start();
  ASSERT_TRUE(soon([&] { return lane.status().connected; }));
  harness::Sql holder = *harness::Sql::connect(database_.conninfo());
  ASSERT_TRUE(holder.execute("BEGIN; LOCK TABLE t").has_value());
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(soon([&] { return is_said("the limit is lock_timeout"); }));
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() >= 3; }))
      << "2 s for each would be Penstock's own";
  ASSERT_TRUE(holder.execute("COMMIT").has_value());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 1);
}

TEST_F(LimitsTest, OfTheRolesAndItsOwnTheSmallerOneHolds) {
  before_each_row(
      "NEW.name = concat_ws(' ', current_setting('statement_timeout'), "
      "current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'));");
  const auto seen = [&] {
    begin_anew();
    Record record;
    TestLane lane(limited(), record, in_flight_);
    lane.push(rows(0, 0, 1));
    lane.start();
    EXPECT_TRUE(lane.close(in_seconds(20)));
    return database_.value("SELECT name FROM t");
  };
  EXPECT_EQ(seen(), "1min 2s 30s");
  limit("SET statement_timeout = '1h'");
  limit("SET lock_timeout = 0");
  limit("SET idle_in_transaction_session_timeout = '31s'");
  EXPECT_EQ(seen(), "1min 2s 30s");
  limit("SET statement_timeout = '59s'");
  limit("SET lock_timeout = '100ms'");
  limit("SET idle_in_transaction_session_timeout = '5s'");
  EXPECT_EQ(seen(), "59s 100ms 5s");
}

TEST_F(LimitsTest, AnIdleSessionThatIsCutComesBackWithTheNextRecord) {
  limit("SET idle_session_timeout = '200ms'");
  claim(0);
  TestLane lane(limited(), record_, in_flight_);
  lane.push(rows(0, 0, 5));
  lane.start();
  ASSERT_TRUE(soon([&] { return position(0) == 5; }));
  ASSERT_TRUE(soon([&] { return sessions() == 0; }));
  ASSERT_TRUE(soon([&] { return !lane.status().connected; }));
  EXPECT_EQ(lane.reconnects(), 0U) << "it does not come back for nothing";
  lane.push(rows(0, 5, 5));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 10);
  EXPECT_TRUE(record_.stalls().empty());
  EXPECT_EQ(lane.counters().transactions_failed.value(), 0U);
}

TEST_F(LimitsTest, AConnectionLimitIsWaitedForAndNamed) {
  limit("CONNECTION LIMIT 1");
  harness::Sql other =
      *harness::Sql::connect(database_.conninfo() + " user=" + role_ + " password=its-own");
  claim(0);
  TestLane lane(limited(), record_, in_flight_);
  lane.push(rows(0, 0, 5));
  lane.start();
  ASSERT_TRUE(soon([&] { return is_said("CONNECTION LIMIT"); }));
  EXPECT_TRUE(is_said("53300"));
  limit("CONNECTION LIMIT 2");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 5);
}

// Two servers, of which the first becomes one that cannot be written to without cutting anybody.
// Records that are left out move positions only: the servers need not have one table.
TEST_F(LimitsTest, AServerThatIsAStandbyNowIsLeftForTheOneThatTakesWrites) {
  auto started = harness::LocalPostgres::start({.fsync = false});
  ASSERT_TRUE(started.has_value()) << started.error().to_string();
  const std::unique_ptr<harness::LocalPostgres> first = *std::move(started);
  harness::Sql admin = *harness::Sql::connect(first->conninfo());
  ASSERT_TRUE(admin.execute("CREATE DATABASE " + database_.name()).has_value());
  ASSERT_TRUE(
      admin.execute("CREATE ROLE " + role_ + " LOGIN SUPERUSER PASSWORD 'its-own'").has_value());
  harness::Sql there = *harness::Sql::connect(first->conninfo() + " dbname=" + database_.name());
  ASSERT_TRUE(there.execute(test::migrations_up()).has_value());
  ASSERT_TRUE(there
                  .execute("INSERT INTO penstock.offsets (pipeline, topic, partition, "
                           "next_offset, epoch, owner, backend_pid, cluster_id, topic_id) VALUES "
                           "('p', 'orders', 0, 0, 1, 'me', 0, '', '')")
                  .has_value());
  claim(0, 1, 5);  // what the first one will have, the other one has, too
  Options chosen = limited();
  chosen.lanes.conninfo += " host=127.0.0.1,127.0.0.1 port=" + std::to_string(first->port()) + "," +
                           database_.value("SELECT current_setting('port')");
  const auto five = [&](Offset from) {
    BatchBuilder made = builder(0, 1, from);
    for (int i = 0; i < 5; ++i) made.filtered();
    return made.build();
  };
  TestLane lane(chosen, record_, in_flight_);
  lane.push(five(0));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_batches() == 1; }))
      << (record_.stall() ? record_.stall()->error.to_string() : lane.status().waiting_for);
  EXPECT_EQ(*there.number("SELECT next_offset FROM penstock.offsets"), 5);
  ASSERT_TRUE(admin.execute("ALTER SYSTEM SET default_transaction_read_only = on").has_value());
  ASSERT_TRUE(admin.execute("SELECT pg_reload_conf()").has_value());
  ASSERT_TRUE(soon([&] {
    const auto now = there.value("SHOW default_transaction_read_only");
    return now && *now == "on";
  }));
  lane.push(five(5));
  ASSERT_TRUE(lane.close(in_seconds(30)));
  EXPECT_EQ(position(0), 10);
  EXPECT_EQ(*there.number("SELECT next_offset FROM penstock.offsets"), 5);
  EXPECT_TRUE(record_.fenced().empty());
}

}  // namespace
}  // namespace penstock::write
