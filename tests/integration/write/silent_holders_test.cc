// Sessions of Penstock's that froze, or lost their link, in the middle of a transaction: they do
// not keep others waiting for long, and nobody else is taken for one.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "harness/sql.h"
#include "postgres/wakeup.h"
#include "write/session.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

class SilentHoldersTest : public WriteTest {
 protected:
  Options patient_for(std::chrono::milliseconds silence) {
    Options chosen = options();
    chosen.lanes.lock_timeout = 100ms;
    chosen.lanes.holder_silence = silence;
    return chosen;
  }
  // A session that has written row 5 of t, and not committed it.
  harness::Sql holder(const std::string& name) {
    auto sql = harness::Sql::connect(database_.conninfo() + " application_name=" + name);
    if (!sql) throw std::runtime_error(sql.error().to_string());
    const auto done = sql->execute("BEGIN; INSERT INTO t VALUES (5, 'of the holder', 0)");
    if (!done) throw std::runtime_error(done.error().to_string());
    return *std::move(sql);
  }
  std::string five() { return database_.value("SELECT name FROM t WHERE id = 5"); }
};

TEST_F(SilentHoldersTest, OfOursAreEndedWhenNothingComesFromThem) {
  claim(0);
  harness::Sql silent = holder("penstock/lane-0");
  TestLane lane(patient_for(300ms), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_FALSE(silent.execute("COMMIT").has_value());
  EXPECT_EQ(ids().size(), 10U);
  EXPECT_EQ(five(), "name 5");
  EXPECT_EQ(dead_letters(), 0);
}

// Bytes may come from it, and no statement that would show it.
TEST_F(SilentHoldersTest, AreEndedInTheMiddleOfACopy) {
  claim(0);
  Options chosen = by(/*copy=*/true);
  postgres::Wakeup wakeup(system_clock());
  auto opened = Session::open(chosen.lanes, 1, wakeup, nullptr);
  ASSERT_TRUE(opened.has_value());
  Session& silent = **opened;
  ASSERT_TRUE(silent.connection().execute("BEGIN").has_value());
  ASSERT_TRUE(silent.connection()
                  .begin_copy("COPY t (id, name, amount) FROM STDIN (FORMAT text)")
                  .has_value());
  std::string text;  // of more rows than PostgreSQL holds back
  for (int i = 0; i < 5'000; ++i) text += std::to_string(i) + "\tof the holder\t0\n";
  ASSERT_TRUE(silent.connection().put_copy(text).has_value());
  ASSERT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
               "'penstock/lane-1' AND backend_xid IS NOT NULL AND wait_event_type = "
               "'Client'") == 1;
  }));
  Options waiting = patient_for(300ms);
  TestLane lane(waiting, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 10U);
  EXPECT_EQ(five(), "name 5");
}

TEST_F(SilentHoldersTest, AreLeftAloneWhileStatementsComeFromThem) {
  claim(0);
  const auto silence = 3s;
  TestLane lane(patient_for(silence), record_, in_flight_);
  harness::Sql busy = holder("penstock/lane-0");
  std::atomic<bool> failed{false};
  std::jthread worker([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && !failed) {
      if (!busy.execute("SELECT 1")) failed = true;
      std::this_thread::sleep_for(20ms);
    }
  });
  lane.start();
  lane.push(rows(0, 0, 10));
  // Seen again and again, for longer than it may be silent.
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(
      soon([&] { return failed || std::chrono::steady_clock::now() > begin + silence + 1s; }));
  worker.request_stop();
  worker.join();
  EXPECT_FALSE(failed);
  EXPECT_TRUE(busy.execute("ROLLBACK").has_value());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(five(), "name 5");
}

TEST_F(SilentHoldersTest, OfOthersAreNamedAndLeftAlone) {
  claim(0);
  harness::Sql person = holder("psql");
  harness::Sql elsewhere = [&] {
    database_.execute("CREATE TABLE elsewhere (id int)");
    auto sql = harness::Sql::connect(database_.conninfo() + " application_name=penstock/lane-7");
    if (!sql) throw std::runtime_error(sql.error().to_string());
    EXPECT_TRUE(sql->execute("BEGIN; INSERT INTO elsewhere VALUES (1)").has_value());
    return *std::move(sql);
  }();
  TestLane lane(patient_for(1ms), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > 5; }));
  ASSERT_TRUE(record_.stall());
  EXPECT_TRUE(record_.stall()->error.message.contains("(psql, ")) << record_.stall()->error.message;
  EXPECT_TRUE(person.execute("ROLLBACK").has_value());
  EXPECT_TRUE(elsewhere.execute("COMMIT").has_value());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 10U);
}

}  // namespace
}  // namespace penstock::write
