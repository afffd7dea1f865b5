// PostgreSQL away, restarting, misconfigured or out of patience: nothing is lost, nothing twice.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "core/log.h"
#include "postgres/wakeup.h"
#include "support/tcp_proxy.h"
#include "write/session.h"
#include "write/unknown_commit.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;
using test::TcpProxy;

class FailureTest : public WriteTest {
 protected:
  static std::uint16_t server_port() {
    const std::string conninfo = test::shared_postgres();
    return static_cast<std::uint16_t>(std::stoi(conninfo.substr(conninfo.find("port=") + 5)));
  }
  void terminate_lane() {
    static_cast<void>(database_.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
        "'penstock/lane-0' AND datname = current_database()"));
  }
};

TEST_F(FailureTest, SurvivesTerminationInTheMiddle) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 1000));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 1000; }));
  std::thread killer([&] {
    for (int i = 0; i < 20; ++i) {
      terminate_lane();
      std::this_thread::sleep_for(15ms);
    }
  });
  for (Offset from = 1000; from < 60'000; from += 1000) lane.push(rows(0, from, 1000));
  killer.join();
  ASSERT_TRUE(lane.close(in_seconds(30)));
  EXPECT_EQ(position(0), 60'000);
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 60'000);
  EXPECT_EQ(record_.committed_rows(), 60'000U);
  EXPECT_GT(lane.reconnects(), 0U);
}

TEST_F(FailureTest, AnIdleLaneNoticesThatItsSessionEnded) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  terminate_lane();
  ASSERT_TRUE(soon([&] { return lane.reconnects() == 1; }));
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(lane.counters().commits_unknown.value(), 0U);
  EXPECT_EQ(position(0), 20);
}

TEST_F(FailureTest, APartitionThatWentBackIsNoticedWithoutANewRecord) {
  for (const std::int32_t partition : {0, 1, 2, 3}) claim(partition);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.adopt(chain(3));
  for (const std::int32_t partition : {0, 1, 2}) lane.push(rows(partition, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 30; }));
  const auto moved = chain(0);
  chain(2)->end(ChainEnd::revoked);
  database_.execute(
      "UPDATE penstock.offsets SET next_offset = 4 WHERE partition IN (0, 2);"
      "DELETE FROM penstock.offsets WHERE partition = 3");
  terminate_lane();
  ASSERT_TRUE(soon([&] { return record_.fenced().size() == 2; }));
  lane.push(BatchBuilder(moved, in_flight_, 10).filtered().build());  // its chain has ended
  lane.push(rows(1, 10, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  ASSERT_EQ(record_.fenced().size(), 2U) << "partition 2 is not its own any more";
  std::vector<FencedCall> fenced = record_.fenced();
  std::ranges::sort(fenced, {}, &FencedCall::partition);
  const FencedCall committed = fenced.front();
  EXPECT_EQ(committed.partition.partition, 0);
  EXPECT_EQ(committed.mine, 1);
  EXPECT_EQ(committed.found, 1);
  EXPECT_EQ(committed.found_offset, 4);
  const FencedCall claimed = fenced.back();
  EXPECT_EQ(claimed.partition.partition, 3);
  EXPECT_FALSE(claimed.found.has_value());
  EXPECT_EQ(lane.counters().batches_dropped.value(), 1U);
  EXPECT_EQ(position(1), 20);
}

TEST_F(FailureTest, TheBreakerOpensWhileTheServerIsAwayAndClosesAfterwards) {
  claim(0);
  TcpProxy proxy(server_port());
  Options chosen = options();
  chosen.lanes.conninfo += " host=127.0.0.1 port=" + std::to_string(proxy.port());
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  proxy.refuse(true);
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(soon([&] { return record_.stall_kinds() == std::vector<std::string>{"away"}; }));
  EXPECT_FALSE(lane.status().connected);
  EXPECT_NE(lane.status().waiting_for, "");
  EXPECT_EQ(in_flight_.batches(), 1);
  proxy.refuse(false);
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; }));
  ASSERT_TRUE(
      soon([&] { return record_.stall_kinds() == (std::vector<std::string>{"away", ""}); }));
  EXPECT_TRUE(lane.status().connected);
  EXPECT_EQ(lane.status().waiting_for, "");
  EXPECT_EQ(lane.counters().breaker_opened.value(), 1U);
}

TEST_F(FailureTest, TheBreakerOpensAndClosesWithoutWork) {
  TcpProxy proxy(server_port());
  Options chosen = options();
  chosen.lanes.conninfo += " host=127.0.0.1 port=" + std::to_string(proxy.port());
  proxy.refuse(true);
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.stall_kinds() == std::vector<std::string>{"away"}; }));
  proxy.refuse(false);
  ASSERT_TRUE(
      soon([&] { return record_.stall_kinds() == (std::vector<std::string>{"away", ""}); }));
}

TEST_F(FailureTest, CloseGivesUpAtItsDeadlineAndStopEndsIt) {
  Options chosen = options();
  chosen.lanes.conninfo += " port=1";
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  EXPECT_FALSE(lane.close(std::chrono::steady_clock::now() + 50ms));
  lane.stop();
  EXPECT_EQ(lane.counters().batches_dropped.value(), 1U);
  EXPECT_EQ(in_flight_.batches(), 0);
}

TEST_F(FailureTest, ARevokedGrantStallsUntilItIsGivenBack) {
  const std::string role = test::unique_name("writer");
  database_.execute("CREATE ROLE " + role +
                    " LOGIN PASSWORD 'secret';"
                    "GRANT USAGE ON SCHEMA penstock TO " +
                    role +
                    ";"
                    "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA penstock TO " +
                    role + "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + role +
                    "; GRANT INSERT ON t TO " + role);
  claim(0);
  {
    Options chosen = options();
    chosen.lanes.conninfo += " user=" + role + " password=secret";
    TestLane lane(chosen, record_, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 10));
    ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
    database_.execute("REVOKE INSERT ON t FROM " + role);
    lane.push(rows(0, 10, 10));
    ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
    EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
    const Error error = record_.stall()->error;
    EXPECT_EQ(error.kind, ErrorKind::permission_denied);
    EXPECT_EQ(error.sqlstate, "42501");
    EXPECT_FALSE(error.to_string().contains("secret"));
    EXPECT_EQ(in_flight_.batches(), 1);
    database_.execute("GRANT INSERT ON t TO " + role);
    ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; })) << "nobody says so";
    EXPECT_EQ(record_.stall_kinds(), (std::vector<std::string>{"configuration", ""}));
  }
  database_.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(FailureTest, AColumnThatVanishedIsAConfigurationErrorAndNothingIsDropped) {
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 10));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 10; }));
    database_.execute("ALTER TABLE t RENAME amount TO sum");
    lane.push(rows(0, 10, 10));
    if (copy) {
      ASSERT_TRUE(soon([&] { return record.stall().has_value(); }));
      EXPECT_EQ(record.stall()->error.sqlstate, "42703");
    }
    database_.execute("ALTER TABLE t RENAME sum TO amount");
    ASSERT_TRUE(soon([&] { return record.doubted_plan() == plan_; }));
    claim_anew(0, "t");
    lane.writer().wake();
    lane.push(rows(0, 10, 10));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 20; }));
    ASSERT_TRUE(lane.close(in_seconds(10)));
    EXPECT_EQ(ids().size(), 20U);
  }
}

TEST_F(FailureTest, AColumnWhoseTypeChangedIsNeverFilledWithTheOldTypesBytes) {
  database_.execute("CREATE TABLE typed (id bigint, \"o'k \\ \" bigint, seq bigserial)");
  claim(0);
  const Options chosen = by(/*copy=*/true, "typed");
  const auto hundred = [this](Offset from) {
    BatchBuilder batch = builder(0, 1, from);
    for (int i = 0; i < 100; ++i) batch.row({int8(from + i), int8(2)});
    return batch.build();
  };
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(hundred(0));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 100; }));
  database_.execute("ALTER TABLE typed ALTER \"o'k \\ \" TYPE float8");
  lane.push(hundred(100));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->error.kind, ErrorKind::conflict);
  EXPECT_EQ(record_.stall()->error.message,
            "table \"public\".\"typed\" is not what it was when the pipeline read its columns");
  EXPECT_EQ(record_.doubted_plan(), plan_);
  EXPECT_EQ(database_.number("SELECT count(*) FROM typed"), 100);
  database_.execute("ALTER TABLE typed ALTER \"o'k \\ \" TYPE bigint");
  claim_anew(0, "typed");
  lane.writer().wake();
  lane.push(hundred(100));
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 200; }));
  EXPECT_FALSE(record_.stall()) << "with the chain, what it waited for is gone";
}

TEST_F(FailureTest, NothingIsWrittenIntoATableThatHasChangedSinceItWasRead) {
  const std::vector<std::string> changes{
      "ALTER TABLE t ALTER name TYPE varchar(99)",
      "ALTER TABLE t ALTER name DROP NOT NULL",
      "ALTER TABLE t ALTER amount SET NOT NULL",
      "ALTER TABLE t ALTER amount SET DEFAULT 1",
      "ALTER TABLE t ALTER amount SET DEFAULT 2",
      "ALTER TABLE t ALTER amount DROP DEFAULT",
      "ALTER TABLE t ADD COLUMN more int",
      "ALTER TABLE t DROP COLUMN more",
      "ALTER TABLE t ADD COLUMN number int GENERATED BY DEFAULT AS IDENTITY",
      "ALTER TABLE t ALTER number SET GENERATED ALWAYS",
      "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
      "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
      "CREATE RULE r AS ON INSERT TO t DO ALSO NOTIFY x",
      "DROP RULE r ON t",
      "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (LIKE t_old INCLUDING ALL)",
      "ALTER TABLE t ALTER amount TYPE float8",
  };
  for (const bool copy : {true, false}) {
    // VACUUM takes away what a rule has left behind, which is a change, too.
    database_.execute("ALTER TABLE t SET (autovacuum_enabled = off)");
    for (const std::string& change : changes) {
      begin_anew();
      Record record;
      Options chosen;
      try {
        chosen = by(copy);
      } catch (const std::runtime_error&) {  // of a rule: the next change takes it away
        database_.execute(change);
        continue;
      }
      TestLane lane(chosen, record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 10));
      ASSERT_TRUE(soon([&] { return record.committed_rows() == 10; })) << change;
      database_.execute(change);
      lane.push(rows(0, 10, 10));
      ASSERT_TRUE(soon([&] { return record.doubted_plan() == plan_; })) << change;
      EXPECT_EQ(position(0), 10) << change;
      EXPECT_EQ(dead_letters(), 0) << change;
    }
    database_.execute(
        "DROP TABLE t; DROP TABLE t_old; CREATE TABLE t (id bigint PRIMARY KEY, name "
        "text NOT NULL, amount int, seq bigserial)");
  }
}

TEST_F(FailureTest, WhatChangesNoColumnIsNoReasonToReadTheTableAgain) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  Offset next = 0;
  for (const std::string change :
       {"VACUUM FULL t", "TRUNCATE t", "GRANT INSERT ON t TO PUBLIC", "CREATE INDEX ON t (amount)",
        "ALTER TABLE t ADD CHECK (amount >= 0)", "ANALYZE t", "VACUUM FREEZE t",
        "VACUUM FREEZE pg_attribute", "CLUSTER t USING t_pkey", "COMMENT ON TABLE t IS 'x'"}) {
    database_.execute(change);
    lane.push(rows(0, next, 10));
    next += 10;
    ASSERT_TRUE(soon([&] { return position(0) == next; })) << change;
  }
  EXPECT_EQ(record_.doubted_plan(), nullptr);
}

TEST_F(FailureTest, PenstocksOwnSchemaMissingSaysHowToMakeIt) {
  database_.execute("DROP SCHEMA penstock CASCADE");
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
  EXPECT_TRUE(record_.stall()->error.hint.contains("penstock migrate up"));
  database_.migrate();
  claim(0);
  lane.retry_now();
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 1; }));
}

TEST_F(FailureTest, ALockTimeoutIsTriedAgain) {
  claim(0);
  Options chosen = options();
  chosen.lanes.lock_timeout = 50ms;
  database_.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() >= 2; }));
  database_.execute("COMMIT");
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(FailureTest, ATransactionThatTakesTooLongIsHalved) {
  database_.execute(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM pg_sleep(0.01); RETURN NEW; END $$;"
      "CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()");
  claim(0);
  Options chosen = options();
  chosen.lanes.statement_timeout = 300ms;
  chosen.lanes.breaker_failures = 100;
  TestLane lane(chosen, record_, in_flight_);
  for (Offset from = 0; from < 64; from += 4) lane.push(rows(0, from, 4));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(30)));
  EXPECT_EQ(position(0), 64);
  EXPECT_GE(record_.commits().size(), 2U);
}

TEST_F(FailureTest, ADeadlockAndASerializationFailureAreTriedAgainAtOnce) {
  database_.execute(
      "CREATE SEQUENCE tries;"
      "CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$ "
      "DECLARE n bigint := nextval('tries'); BEGIN "
      "IF n = 1 THEN RAISE EXCEPTION 'a' USING ERRCODE = '40001'; END IF; "
      "IF n = 2 THEN RAISE EXCEPTION 'b' USING ERRCODE = '40P01'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER fail_twice BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail_twice()");
  claim(0);
  Options chosen = options();
  chosen.lanes.breaker_failures = 1;
  TestLane lane(chosen, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 10U);
  EXPECT_EQ(record_.commits().front().tries, 3U);
  EXPECT_TRUE(record_.stalls().empty());
  EXPECT_EQ(lane.reconnects(), 0U);
}

TEST_F(FailureTest, PostgresqlsDetailIsNotLogged) {
  static std::mutex mutex;
  static std::string lines;
  lines.clear();
  set_log_sink([](LogLevel, std::string_view event, std::span<const LogField> fields) {
    const std::lock_guard lock(mutex);
    lines += event;
    for (const LogField& field : fields) {
      if (const auto* text = std::get_if<std::string>(&field.value)) lines += " " + *text;
    }
    lines += "\n";
  });
  database_.execute(
      "CREATE SEQUENCE tries;"
      "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF nextval('tries') = 1 THEN RAISE EXCEPTION 'full' USING ERRCODE = '53100', "
      "DETAIL = 'Failing row contains (secret)'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER fail_once BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail_once()");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  const bool closed = lane.close(in_seconds(20));
  set_log_sink({});
  ASSERT_TRUE(closed);
  EXPECT_TRUE(lines.contains("write_failed")) << lines;
  EXPECT_FALSE(lines.contains("secret")) << lines;
}

TEST_F(FailureTest, OnlyABackendThatBearsOurNameIsEnded) {
  postgres::Wakeup wakeup(system_clock());
  const LanesOptions chosen = options().lanes;
  auto session = Session::open(chosen, 0, wakeup, nullptr);
  ASSERT_TRUE(session);
  // Behind a pooler, what was our backend may serve somebody else by now.
  const auto stranger = database_.query(
      "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()");
  const postgres::BackendIdentity identity{.pid = stranger[0][0].value_or(""),
                                           .start = stranger[0][1].value_or(""),
                                           .name = (*session)->identity().name};
  ASSERT_TRUE(end_backend(**session, identity));
  EXPECT_EQ(database_.value("SELECT pg_backend_pid()"), identity.pid) << "the same session still";
  // One of ours goes, but not with another start.
  postgres::Wakeup other_wakeup(system_clock());
  auto other = Session::open(chosen, 0, other_wakeup, nullptr);
  ASSERT_TRUE(other);
  postgres::BackendIdentity ours = (*other)->identity();
  const auto is_there = [&] {
    return database_.number("SELECT count(*) FROM pg_stat_activity WHERE pid = " + ours.pid) == 1;
  };
  postgres::BackendIdentity earlier = ours;
  earlier.start = "2001-01-01 00:00:00+00";
  ASSERT_TRUE(end_backend(**session, earlier));
  EXPECT_TRUE(is_there());
  ASSERT_TRUE(end_backend(**session, ours));
  EXPECT_TRUE(soon([&] { return !is_there(); }));
}

// Each class of failure once, by a trigger that raises it in the first try.
struct Raised {
  const char* sqlstate;
  bool reconnects;
};
// What GoogleTest calls it where it fails.
void PrintTo(const Raised& raised, std::ostream* out) { *out << raised.sqlstate; }

class RaisedFailureTest : public FailureTest, public testing::WithParamInterface<Raised> {};

TEST_P(RaisedFailureTest, IsTriedAgainAndLosesNothing) {
  database_.execute(
      "CREATE SEQUENCE tries;"
      "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ "
      "BEGIN IF nextval('tries') = 1 THEN RAISE EXCEPTION 'once' USING ERRCODE = '" +
      std::string(GetParam().sqlstate) +
      "'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER fail_once BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail_once()");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 10U);
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_EQ(lane.reconnects(), GetParam().reconnects ? 1U : 0U);
}

INSTANTIATE_TEST_SUITE_P(Classes, RaisedFailureTest,
                         testing::Values(Raised{"08006", true}, Raised{"25006", true},
                                         Raised{"40001", false}, Raised{"53100", true},
                                         Raised{"53200", true}, Raised{"55P03", false},
                                         Raised{"57014", false}, Raised{"57P01", true},
                                         Raised{"58030", true}, Raised{"XX000", true}),
                         [](const auto& info) { return std::string(info.param.sqlstate); });

}  // namespace
}  // namespace penstock::write
