#include "postgres/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <stop_token>
#include <vector>

#include "support/servers.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

SteadyTime in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

class PoolTest : public testing::Test {
 protected:
  // The sessions that the server has of us.
  std::int64_t sessions() {
    return database.number(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock/shared' "
        "AND datname = current_database()");
  }
  static std::string pid_of(Connection& connection) {
    auto reply = connection.execute("SELECT pg_backend_pid()");
    return reply ? reply->string(0, 0) : "";
  }

  test::TestDatabase database;
  const std::string& conninfo = database.conninfo();
};

// A standby behind an address that was the primary's, as after a switch that cuts no connection.
TEST_F(PoolTest, AServerThatTakesNoWritesAnyMoreIsLeft) {
  for (const bool says_so : {true, false}) {
    Pool pool({.conninfo = conninfo});
    {
      auto lease = pool.lease({}, in(60s));
      ASSERT_TRUE(lease.has_value());
      // What it says of itself, and what only a statement meets.
      auto refused = says_so ? (*lease)->execute("SET default_transaction_read_only = on")
                             : (*lease)->execute("BEGIN READ ONLY; CREATE TABLE public.t ()");
      EXPECT_EQ(refused.has_value(), says_so);
      if (!says_so) EXPECT_EQ(refused.error().error.sqlstate, "25006");
      ASSERT_TRUE((*lease)->execute("ROLLBACK").has_value());
      EXPECT_TRUE((*lease)->found_read_only());
    }
    auto next = pool.lease({}, in(60s));
    ASSERT_TRUE(next.has_value());
    EXPECT_FALSE(next->reused());
    EXPECT_EQ(pool.counters().connects, 2U);
    EXPECT_TRUE((*next)->execute("BEGIN; CREATE TABLE public.t (); ROLLBACK").has_value());
  }
}

TEST_F(PoolTest, NeverOpensMoreThanItMayHoweverManyAsk) {
  Pool pool({.conninfo = conninfo});
  std::atomic<int> failures{0};
  std::atomic<bool> done{false};
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 50; ++i) {
    callers.push_back(std::async(std::launch::async, [&] {
      for (int n = 0; n < 4; ++n) {
        auto lease = pool.lease({}, in(60s));
        if (!lease || !(*lease)->execute("SELECT pg_sleep(0.002)")) ++failures;
      }
    }));
  }
  auto most = std::async(std::launch::async, [&] {
    std::int64_t seen = 0;
    while (!done) seen = std::max(seen, sessions());
    return seen;
  });
  for (auto& caller : callers) caller.get();
  done = true;
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(most.get(), 2);
  EXPECT_EQ(pool.counters().connects, 2U);
}

TEST_F(PoolTest, ServesWhoeverCameFirst) {
  Pool pool({.conninfo = conninfo, .max_connections = 1});
  std::optional<Pool::Lease> first(*pool.lease({}, in(10s)));
  std::vector<int> order;  // by the one who holds the one connection
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 5; ++i) {
    callers.push_back(std::async(std::launch::async, [&pool, &order, i] {
      const auto lease = pool.lease({}, in(60s));
      order.push_back(i);
    }));
    ASSERT_TRUE(test::wait_until(
        [&] { return pool.counters().waiting == static_cast<std::size_t>(i) + 1; }));
  }
  first.reset();
  for (auto& caller : callers) caller.get();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST_F(PoolTest, AWaitForAConnectionEndsAtItsDeadlineOrWithAStop) {
  Pool pool({.conninfo = conninfo, .max_connections = 1});
  const auto held = pool.lease({}, in(10s));
  ASSERT_TRUE(held.has_value());
  const auto late = pool.lease({}, in(50ms));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().error.kind, ErrorKind::deadline_exceeded);

  std::stop_source stop;
  auto stopped =
      std::async(std::launch::async, [&] { return pool.lease(stop.get_token(), in(60s)); });
  ASSERT_TRUE(test::wait_until([&] { return pool.counters().waiting == 1; }));
  stop.request_stop();
  const auto answer = stopped.get();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().failure, FailureClass::cancelled);
}

TEST_F(PoolTest, AStopEndsAStatementAndTheNextOneGetsAnotherConnection) {
  Pool pool({.conninfo = conninfo, .max_connections = 1});
  std::stop_source stop;
  const auto begin = std::chrono::steady_clock::now();
  auto asleep = std::async(std::launch::async, [&] {
    return pool.with_connection(stop.get_token(), 60s, [](Connection& connection) {
      return connection.execute("SELECT pg_sleep(60)");
    });
  });
  ASSERT_TRUE(test::wait_until([&] {
    return database.number(
               "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND "
               "datname = current_database()") == 1;
  }));
  stop.request_stop();
  const auto answer = asleep.get();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().failure, FailureClass::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  auto next = pool.lease({}, in(10s));
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE((*next)->execute("SELECT 1").has_value());
  EXPECT_EQ(pool.counters().connects, 2U);
}

TEST_F(PoolTest, ADeadlineEndsAStatement) {
  Pool pool({.conninfo = conninfo});
  const auto answer = pool.with_connection(
      {}, 200ms, [](Connection& connection) { return connection.execute("SELECT pg_sleep(60)"); });
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().error.kind, ErrorKind::unavailable);
}

TEST_F(PoolTest, GivesNobodyAConnectionInTheMiddleOfATransaction) {
  Pool pool({.conninfo = conninfo, .max_connections = 1});
  {
    auto lease = pool.lease({}, in(10s));
    ASSERT_TRUE((*lease)->execute("BEGIN; CREATE TABLE public.half ()").has_value());
  }
  auto next = pool.lease({}, in(10s));
  ASSERT_TRUE(next.has_value());
  EXPECT_FALSE(next->reused());
  EXPECT_EQ(database.value("SELECT coalesce(to_regclass('half')::text, 'gone')"), "gone");
}

TEST_F(PoolTest, OneThatDiedWhileIdleIsReplacedWithoutAWord) {
  Pool pool({.conninfo = conninfo});
  const auto pid = [&] {
    auto answer = pool.with_connection({}, 10s, [](Connection& connection) {
      return connection.execute("SELECT pg_backend_pid()");
    });
    EXPECT_TRUE(answer.has_value()) << answer.error().error.to_string();
    return answer ? answer->string(0, 0) : "";
  };
  const std::string first = pid();
  EXPECT_EQ(pid(), first);
  database.execute("SELECT pg_terminate_backend(" + first + ", 5000)");
  EXPECT_NE(pid(), first);
}

TEST_F(PoolTest, ClosesWhatNobodyHasUsedForAWhile) {
  Pool pool({.conninfo = conninfo, .idle_limit = 100ms});
  {
    const auto one = pool.lease({}, in(10s));
    const auto two = pool.lease({}, in(10s));
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_EQ(sessions(), 2);
  }
  EXPECT_TRUE(test::wait_until([&] { return sessions() == 0; }));
  EXPECT_EQ(pool.counters().open, 0U);
  EXPECT_TRUE(pool.lease({}, in(10s)).has_value());
}

}  // namespace
}  // namespace penstock::postgres
