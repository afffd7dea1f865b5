// A redrive that is killed, wherever it is: no record is lost, none comes twice.
#include <cstdlib>
#include <format>

#include "integration/dead_letters/letters.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// PENSTOCK_DEAD_LETTERS: how many letters the long test has.
std::int64_t letters_of_the_long_test() {
  const char* wanted = std::getenv("PENSTOCK_DEAD_LETTERS");
  return wanted != nullptr ? std::atoll(wanted) : 10'000;
}

class KilledRedrive : public Letters {
 protected:
  // From now on whoever does this to a row of this table stops in the middle of it, as long as we
  // hold a lock.
  void stop_at(const std::string& what, const std::string& table) {
    database().execute(
        std::format("CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "PERFORM pg_advisory_xact_lock_shared(4711); "
                    "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;"
                    "CREATE TRIGGER stop BEFORE {} ON {} FOR EACH ROW EXECUTE FUNCTION stop()",
                    what, table));
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

TEST_F(KilledRedrive, SaysThatItsSessionIsGoneAndIsRunAgain) {
  add(1, 100);
  stop_at("INSERT", "t");
  auto redrive = start({"redrive"});
  ASSERT_TRUE(has_stopped()) << output();
  std::ignore = database().query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
      "AND application_name LIKE 'penstock/redrive%'");
  const auto status = redrive.wait_for(30s);
  go_on();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1) << output();
  EXPECT_TRUE(output().contains("what is committed is not done twice")) << output();
  redrive_the_rest();
}

TEST_F(KilledRedrive, LosesAndDoublesNothingThroughThreeSigkills) {
  const std::int64_t all = letters_of_the_long_test();
  add(1, all);
  // Some stay letters, which is no reason to lose their neighbours.
  database().execute("ALTER TABLE t ADD CHECK (n % 1000 <> 500)");
  const std::string rate = std::to_string(std::max<std::int64_t>(all / 4, 100));
  for (int part = 1; part <= 3; ++part) {
    auto redrive = start({"redrive", "--rate", rate, "--reason", "no_such_field"});
    ASSERT_TRUE(wait_until([&] { return rows() >= all * part / 5 || redrive.poll(); }, 120s));
    ASSERT_FALSE(redrive.poll()) << "it ended before it was killed: " << output();
    redrive.kill();
    ASSERT_TRUE(is_gone());
    expect_each_once(all);
  }
  const auto last = run({"redrive"});
  EXPECT_EQ(last.status.code, 1) << last.text;
  expect_each_once(all);
  EXPECT_EQ(letters(), all / 1000);
  EXPECT_EQ(letters("sqlstate = '23514' AND attempts > 1"), all / 1000);
}

}  // namespace
}  // namespace penstock::test
