// PostgreSQL ends connections, goes down at once, and comes back.
#include <gtest/gtest.h>

#include <csignal>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

TEST(Postgres, MayTerminateEveryConnectionUnderLoad) {
  Stand stand;
  stand.produce(80'000, 10'000);
  auto serve = stand.serve("serve");
  int terminated = 0;
  for (int round = 1; round <= 6; ++round) {
    ASSERT_TRUE(stand.wait_until_applied(round * 8'000)) << serve.log();
    terminated += stand.terminate_backends();
  }
  EXPECT_GE(terminated, 6) << "no fault bit";
  EXPECT_LT(stand.applied(), 80'000) << "the load was over before the last fault";
  expect_exactly_once(stand.conclude());
  EXPECT_GT(serve.metric("penstock_transactions_failed_total").value_or(0), 0)
      << "no connection ended in the middle of something";
}

TEST(Postgres, MayShutDownImmediatelyAndRecover) {
  Stand stand;
  stand.produce(60'000, 8'000);
  auto serve = stand.serve("serve");
  for (int round = 1; round <= 2; ++round) {
    ASSERT_TRUE(stand.wait_until_applied(round * 15'000)) << serve.log();
    stand.postgres().stop(harness::LocalPostgres::Shutdown::immediate);
    // It notices, and says so.
    ASSERT_TRUE(wait_until([&] {
      const auto ready = serve.get("/readyz");
      return ready && ready->status == 503;
    })) << serve.log();
    must(stand.postgres().start_again());
  }
  expect_exactly_once(stand.conclude());
  EXPECT_TRUE(wait_until([&] {
    const auto ready = serve.get("/readyz");
    return ready && ready->status == 200;
  })) << serve.log();
}

// With asynchronous commits a crash takes back the last ones: rows, dead letters and positions
// together. No record comes after them, on which the fence would notice.
TEST(Postgres, MayForgetItsLastCommits) {
  Stand stand;
  auto serve =
      stand.serve("serve", {.conninfo = stand.conninfo() + " options='-c synchronous_commit=off'"});
  const std::string wal_writer = "FROM pg_stat_activity WHERE backend_type = 'walwriter'";
  const auto pid = static_cast<pid_t>(stand.number("SELECT pid " + wal_writer));
  // From here on nobody writes commits to the disk: these are too few to fill wal_buffers. It must
  // not stop while it holds the lock that a claim's commit waits for.
  ASSERT_TRUE(wait_until([&] {
    kill(pid, SIGSTOP);
    if (stand.number("SELECT count(*) " + wal_writer + " AND wait_event = 'WalWriterMain'") == 1) {
      return true;
    }
    kill(pid, SIGCONT);
    return false;
  }));
  stand.produce(2'000, 10'000);
  ASSERT_TRUE(stand.wait_until_applied(2'000)) << serve.log();
  ASSERT_EQ(kill(pid, SIGKILL), 0);  // PostgreSQL recovers, as from every crash of its own
  ASSERT_TRUE(wait_until([&] { return serve.metric("penstock_fenced_total").value_or(0) > 0; }))
      << "no fault bit: PostgreSQL forgot nothing, or nobody noticed\n"
      << serve.log();
  expect_exactly_once(stand.conclude());
}

}  // namespace
}  // namespace penstock::test
