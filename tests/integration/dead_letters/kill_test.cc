// A redrive that is killed, wherever it is: no record is lost, none comes twice.
#include <cstdlib>
#include <format>

#include "integration/dead_letters/letters.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// PENSTOCK_DEAD_LETTERS: how many letters the long test has; thousands.
std::int64_t letters_of_the_long_test() {
  const char* wanted = std::getenv("PENSTOCK_DEAD_LETTERS");
  return wanted != nullptr ? std::atoll(wanted) : 100'000;
}

class KilledRedrive : public Letters {
 protected:
  // From now on whoever does this to a row of this table for which `which` holds stops in the
  // middle of it, as long as we hold a lock.
  void stop_at(const std::string& what, const std::string& table,
               const std::string& which = "true") {
    database().execute(std::format(
        "DROP TRIGGER IF EXISTS stop ON t; DROP TRIGGER IF EXISTS stop ON penstock.dead_letters;"
        "CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_advisory_xact_lock_shared(4711); "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER stop BEFORE {} ON {} FOR EACH ROW WHEN ({}) "
        "EXECUTE FUNCTION stop()",
        what, table, which));
    must(lock_.execute("SELECT pg_advisory_lock(4711)"));
  }
  [[nodiscard]] bool has_stopped() {
    return wait_until([&] {
      return database().number(
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                 "current_database() AND wait_event = 'advisory' AND "
                 "application_name LIKE 'penstock/redrive%'") == 1;
    });
  }
  void go_on() { must(lock_.execute("SELECT pg_advisory_unlock(4711)")); }
  // PostgreSQL looks every 5 s whether anybody is there (client_connection_check_interval).
  [[nodiscard]] bool is_gone() {
    return wait_until([&] {
      return database().number(
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                 "current_database() AND application_name LIKE "
                 "'penstock/redrive%'") == 0;
    });
  }
  // Killed in the middle of that, it has done nothing.
  void kill_at(const std::string& what, const std::string& table) {
    add(1, 100);
    stop_at(what, table);
    auto redrive = start({"redrive"});
    ASSERT_TRUE(has_stopped()) << output();
    redrive.kill();
    // The backend has COMMIT before it already, and would take it if it went on first.
    ASSERT_TRUE(is_gone());
    go_on();
    EXPECT_EQ(rows(), 0);
    EXPECT_EQ(letters("attempts = 1"), 100);
    redrive_the_rest();
  }
  void redrive_the_rest() {
    const auto again = run({"redrive"});
    EXPECT_EQ(again.status.code, 0) << again.text;
    EXPECT_EQ(rows(), 100);
    expect_each_once(100);
  }

  harness::Sql lock_ = must(harness::Sql::connect(service.database().conninfo()));
};

TEST_F(KilledRedrive, HasLostNoLetterWhoseRowItWasWriting) { kill_at("INSERT", "t"); }

TEST_F(KilledRedrive, HasLeftNoRowWhoseLetterItWasEnding) {
  kill_at("DELETE", "penstock.dead_letters");
}

TEST_F(KilledRedrive, GoesOnOverANewSessionWhenSomebodyHasEndedItsOwn) {
  add(1, 100);
  stop_at("INSERT", "t");
  auto redrive = start({"redrive"});
  ASSERT_TRUE(has_stopped()) << output();
  std::ignore = database().query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
      "AND application_name LIKE 'penstock/redrive%'");
  go_on();
  const auto status = redrive.wait_for(30s);
  ASSERT_TRUE(status && status->success()) << output();
  EXPECT_EQ(rows(), 100);
  expect_each_once(100);
}

// Each time further on: in a row, at the end of a letter, and with a COMMIT on its way that
// PostgreSQL may still take.
TEST_F(KilledRedrive, LosesAndDoublesNothingThroughThreeSigkills) {
  const std::int64_t all = letters_of_the_long_test();
  add(1, all);
  // Some stay letters, which is no reason to lose their neighbours.
  database().execute("ALTER TABLE t ADD CHECK (n % 10000 <> 5000)");
  std::int64_t rows_before = 0;
  for (int part = 1; part <= 3; ++part) {
    const std::int64_t at = all * part / 4 + 77;
    if (part == 1) {
      stop_at("INSERT", "t", std::format("NEW.n = {}", at));
    } else {
      stop_at("DELETE", "penstock.dead_letters", std::format("OLD.\"offset\" = {}", at));
    }
    auto redrive = start({"redrive", "--reason", "no_such_field"});
    ASSERT_TRUE(has_stopped()) << output();
    redrive.kill();
    if (part == 3) {
      go_on();
      ASSERT_TRUE(is_gone());
    } else {
      ASSERT_TRUE(is_gone());
      go_on();
    }
    expect_each_once(all);
    EXPECT_GT(rows(), rows_before) << "kill " << part << " came before anything was done";
    EXPECT_LT(rows(), at + 1000) << "kill " << part << " came too late";
    rows_before = rows();
  }
  const auto last = run({"redrive"});
  EXPECT_EQ(last.status.code, 1) << last.text;
  expect_each_once(all);
  EXPECT_EQ(rows(), all - all / 10'000);
  EXPECT_EQ(letters(), all / 10'000);
  EXPECT_EQ(letters("sqlstate = '23514' AND attempts > 1"), all / 10'000);
}

}  // namespace
}  // namespace penstock::test
