// PostgreSQL away, restarting, misconfigured or out of patience: nothing is lost, nothing twice.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/tcp_proxy.h"
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
        "'penstock/p/lane-0' AND datname = current_database()"));
  }
};

TEST_F(FailureTest, SurvivesTerminationInTheMiddle) {
  claim(0);
  Lane lane(options(), record_.hooks());
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
  EXPECT_GT(lane.counters().reconnects.value(), 0U);
}

TEST_F(FailureTest, AnIdleLaneNoticesThatItsSessionEnded) {
  claim(0);
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  terminate_lane();
  ASSERT_TRUE(soon([&] { return lane.counters().reconnects.value() == 1; }));
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(lane.counters().commits_unknown.value(), 0U);
  EXPECT_EQ(position(0), 20);
}

TEST_F(FailureTest, APartitionThatWentBackIsNoticedWithoutANewRecord) {
  for (const std::int32_t partition : {0, 1, 2, 3}) claim(partition);
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.begin({.topic = 0, .partition = 3}, Epoch{1}, 0);
  for (const std::int32_t partition : {0, 1, 2}) lane.push(rows(partition, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 30; }));
  lane.forget({.topic = 0, .partition = 2}, Epoch{1});
  database_.execute(
      "UPDATE penstock.offsets SET next_offset = 4 WHERE partition IN (0, 2);"
      "DELETE FROM penstock.offsets WHERE partition = 3");
  terminate_lane();
  ASSERT_TRUE(soon([&] { return record_.fenced().size() == 2; }));
  lane.push(rows(0, 10, 10));  // drops out, as everything of that epoch
  lane.push(rows(1, 10, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  ASSERT_EQ(record_.fenced().size(), 2U) << "partition 2 is not its own any more";
  const FencedCall committed = record_.fenced().front();
  EXPECT_EQ(committed.partition.partition, 0);
  EXPECT_EQ(committed.mine, 1);
  EXPECT_EQ(committed.found, 1);
  EXPECT_EQ(committed.found_offset, 4);
  const FencedCall claimed = record_.fenced().back();
  EXPECT_EQ(claimed.partition.partition, 3);
  EXPECT_FALSE(claimed.found.has_value());
  EXPECT_EQ(record_.dropped(DropReason::fenced).size(), 1U);
  EXPECT_EQ(position(1), 20);
}

TEST_F(FailureTest, TheBreakerOpensWhileTheServerIsAwayAndClosesAfterwards) {
  claim(0);
  TcpProxy proxy(server_port());
  LaneOptions chosen = options();
  chosen.conninfo += " host=127.0.0.1 port=" + std::to_string(proxy.port());
  Lane lane(chosen, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  proxy.refuse(true);
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(soon([&] { return record_.availability() == std::vector<bool>{false}; }));
  EXPECT_FALSE(lane.available());
  EXPECT_EQ(lane.in_flight(), 1U);
  proxy.refuse(false);
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; }));
  ASSERT_TRUE(soon([&] { return record_.availability() == (std::vector<bool>{false, true}); }));
  EXPECT_TRUE(lane.available());
  EXPECT_EQ(lane.counters().breaker_opened.value(), 1U);
}

TEST_F(FailureTest, TheBreakerOpensAndClosesWithoutWork) {
  TcpProxy proxy(server_port());
  LaneOptions chosen = options();
  chosen.conninfo += " host=127.0.0.1 port=" + std::to_string(proxy.port());
  proxy.refuse(true);
  Lane lane(chosen, record_.hooks());
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.availability() == std::vector<bool>{false}; }));
  proxy.refuse(false);
  ASSERT_TRUE(soon([&] { return record_.availability() == (std::vector<bool>{false, true}); }));
}

TEST_F(FailureTest, CloseGivesUpAtItsDeadlineAndStopEndsIt) {
  LaneOptions chosen = options();
  chosen.conninfo += " port=1";
  Lane lane(chosen, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 10));
  EXPECT_FALSE(lane.close(std::chrono::steady_clock::now() + 50ms));
  lane.stop();
  EXPECT_EQ(record_.dropped(DropReason::stopped).size(), 1U);
}

TEST_F(FailureTest, ARevokedGrantIsAConfigurationErrorUntilItIsGivenBack) {
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
    LaneOptions chosen = options();
    chosen.conninfo += " user=" + role + " password=secret";
    Lane lane(chosen, record_.hooks());
    lane.start();
    lane.push(rows(0, 0, 10));
    ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
    database_.execute("REVOKE INSERT ON t FROM " + role);
    lane.push(rows(0, 10, 10));
    ASSERT_TRUE(soon([&] { return record_.configuration_errors().size() == 1; }));
    const Error error = record_.configuration_errors().front();
    EXPECT_EQ(error.kind, ErrorKind::permission_denied);
    EXPECT_EQ(error.sqlstate, "42501");
    EXPECT_FALSE(error.to_string().contains("secret"));
    EXPECT_EQ(lane.in_flight(), 1U);
    lane.retry_now();
    ASSERT_TRUE(soon([&] { return record_.configuration_errors().size() == 2; }));
    database_.execute("GRANT INSERT ON t TO " + role);
    lane.retry_now();
    ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; }));
    EXPECT_TRUE(record_.availability().empty());
  }
  database_.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(FailureTest, AColumnThatVanishedIsAConfigurationErrorAndNothingIsDropped) {
  for (const bool copy : {true, false}) {
    database_.execute("TRUNCATE t; DELETE FROM penstock.offsets");
    claim(0);
    Record record;
    LaneOptions chosen = options();
    chosen.copy_from_rows = copy ? 1 : 1'000'000;
    Lane lane(chosen, record.hooks());
    lane.start();
    lane.push(rows(0, 0, 10));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 10; }));
    database_.execute("ALTER TABLE t RENAME amount TO sum");
    lane.push(rows(0, 10, 10));
    if (copy) {
      ASSERT_TRUE(soon([&] { return record.configuration_errors().size() == 1; }));
      EXPECT_EQ(record.configuration_errors().front().sqlstate, "42703");
    }
    database_.execute("ALTER TABLE t RENAME sum TO amount");
    lane.retry_now();
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 20; }));
  }
}

TEST_F(FailureTest, AColumnWhoseTypeChangedIsNeverFilledWithTheOldTypesBytes) {
  database_.execute("CREATE TABLE typed (id bigint, \"o'k \\ \" bigint, seq bigserial)");
  claim(0);
  LaneOptions chosen = options("typed");
  chosen.copy_from_rows = 1;
  const auto hundred = [](Offset from) {
    BatchBuilder builder(0, 1, from);
    for (int i = 0; i < 100; ++i) builder.row({int8(from + i), int8(2)});
    return builder.build();
  };
  Lane lane(chosen, record_.hooks());
  lane.start();
  lane.push(hundred(0));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 100; }));
  database_.execute("ALTER TABLE typed ALTER \"o'k \\ \" TYPE float8");
  lane.push(hundred(100));
  ASSERT_TRUE(soon([&] { return record_.configuration_errors().size() == 1; }));
  EXPECT_EQ(record_.configuration_errors()[0].kind, ErrorKind::conflict);
  EXPECT_TRUE(record_.configuration_errors()[0].message.contains("is double precision now"))
      << record_.configuration_errors()[0].message;
  EXPECT_EQ(database_.number("SELECT count(*) FROM typed"), 100);
  database_.execute("ALTER TABLE typed ALTER \"o'k \\ \" TYPE bigint");
  lane.retry_now();
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 200; }));
}

TEST_F(FailureTest, PenstocksOwnSchemaMissingSaysHowToMakeIt) {
  database_.execute("DROP SCHEMA penstock CASCADE");
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(soon([&] { return record_.configuration_errors().size() == 1; }));
  EXPECT_TRUE(record_.configuration_errors().front().hint.contains("penstock migrate up"));
  database_.migrate();
  claim(0);
  lane.retry_now();
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 1; }));
}

TEST_F(FailureTest, ALockTimeoutIsTriedAgain) {
  claim(0);
  LaneOptions chosen = options();
  chosen.lock_timeout = 50ms;
  database_.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  Lane lane(chosen, record_.hooks());
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
  LaneOptions chosen = options();
  chosen.statement_timeout = 300ms;
  chosen.breaker_failures = 100;
  Lane lane(chosen, record_.hooks());
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
  LaneOptions chosen = options();
  chosen.breaker_failures = 1;
  Lane lane(chosen, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 10U);
  EXPECT_EQ(record_.commits().front().tries, 3U);
  EXPECT_TRUE(record_.availability().empty());
  EXPECT_EQ(lane.counters().reconnects.value(), 0U);
}

// Each class of failure once, by a trigger that raises it in the first try.
struct Raised {
  const char* sqlstate;
  bool reconnects;
};
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
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 10U);
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_EQ(lane.counters().reconnects.value(), GetParam().reconnects ? 1U : 0U);
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
