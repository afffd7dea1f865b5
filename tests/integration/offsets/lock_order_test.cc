// Rows of penstock.offsets are locked in one order everywhere, so that lanes and claims never wait
// for each other in a circle.
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/sql.h"
#include "offsets/migrations.h"
#include "offsets/position_table.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

constexpr Limits kPatient{.pipeline = "p", .lock_timeout = 20s};

// Somebody has the first of two partitions, and the other one is asked for first.
class LockOrderTest : public testing::Test {
 protected:
  LockOrderTest() {
    if (const auto done = migrate_up(database_.conninfo()); !done) {
      throw std::runtime_error(done.error().to_string());
    }
  }

  static std::string insert(int partition) {
    return "INSERT INTO penstock.offsets VALUES ('p', 't', " + std::to_string(partition) +
           ", 0, 1, 'x', 0, '', '')";
  }
  void run(harness::Sql& session, const std::string& statements) {
    const auto done = session.execute(statements);
    if (!done) throw std::runtime_error(done.error().to_string());
  }
  bool somebody_waits() {
    return test::wait_until([this] {
      return database_.number(
                 "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                 "AND datname = current_database()") == 1;
    });
  }
  // Runs `ask` while `first` holds a lock; whether it waits for that one before it has any other,
  // which `free` tells by a transaction of its own.
  template <typename Ask>
  bool waits_for_the_first(harness::Sql& first, Ask ask, const std::string& free) {
    auto asked = std::async(std::launch::async, [&] {
      return pool_.with_connection({}, 20s, [&](postgres::Connection& connection) {
        postgres::Try<void> done = begin(connection, kPatient);
        if (done) done = ask(connection);
        if (done) done = commit(connection);
        return done;
      });
    });
    const bool waited = somebody_waits();
    const auto looked = other_.execute("BEGIN; SET LOCAL lock_timeout = 200; " + free);
    run(other_, "ROLLBACK");
    run(first, "COMMIT");
    const auto done = asked.get();
    EXPECT_TRUE(done.has_value()) << done.error().error.to_string();
    return waited && looked.has_value();
  }

  test::TestDatabase database_;
  // An index would bring them into order by chance.
  postgres::Pool pool_{{.conninfo = database_.conninfo() +
                                    " options='-c enable_indexscan=off -c enable_bitmapscan=off'"}};
  harness::Sql first_ = *harness::Sql::connect(database_.conninfo());
  harness::Sql other_ = *harness::Sql::connect(database_.conninfo());
};

TEST_F(LockOrderTest, RowsThatAreThereAreLockedByPartition) {
  for (int partition = 9; partition >= 0; --partition) run(first_, insert(partition));
  run(first_, "BEGIN; SELECT FROM penstock.offsets WHERE partition = 0 FOR UPDATE");
  const auto ask = [](postgres::Connection& connection) -> postgres::Try<void> {
    KeyColumns keys;
    for (int partition = 9; partition >= 0; --partition) keys.add("t", partition);
    auto rows = lock_rows(connection, "p", keys, Held::wait_for);
    if (!rows) return std::unexpected(std::move(rows.error()));
    return {};
  };
  EXPECT_TRUE(waits_for_the_first(first_, ask,
                                  "SELECT FROM penstock.offsets WHERE partition > 0 FOR UPDATE"));
}

TEST_F(LockOrderTest, RowsThatAreMadeAreMadeByPartition) {
  run(first_, "BEGIN; " + insert(0));
  const auto ask = [](postgres::Connection& connection) -> postgres::Try<void> {
    return make_rows(connection, "p",
                     {.topic = "t",
                      .cluster_id = {},
                      .topic_id = {},
                      .first = 0,
                      .offsets = {Offset{0}, Offset{0}}});
  };
  EXPECT_TRUE(waits_for_the_first(first_, ask, insert(1)));
}

TEST_F(LockOrderTest, TheFenceMovesRowsByPartition) {
  run(first_, insert(1));
  run(first_, insert(0));
  run(first_, "BEGIN; SELECT FROM penstock.offsets WHERE partition = 0 FOR UPDATE");
  const auto ask = [](postgres::Connection& connection) -> postgres::Try<void> {
    auto moved = connection.execute(
        "SELECT penstock.advance('p', '{t,t}', '{1,0}', '{1,1}', '{0,0}', '{5,5}', '{0,0}')");
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  };
  EXPECT_TRUE(waits_for_the_first(first_, ask,
                                  "SELECT FROM penstock.offsets WHERE partition = 1 FOR UPDATE"));
}

}  // namespace
}  // namespace penstock::offsets
