// PostgreSQL ends connections, goes down at once, and comes back.
#include <gtest/gtest.h>

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
    stand.postgres().stop(demo::LocalPostgres::Shutdown::immediate);
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

}  // namespace
}  // namespace penstock::test
