// A server that freezes: nothing is closed, nothing answers. Whoever waits for it lives on, keeps
// its memory and loses nothing.
//
// Seconds of frost: 20, or PENSTOCK_OUTAGE_SECONDS.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "faults/expect.h"
#include "support/frozen.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMemoryMib = 24;
// As in outage_test.cc: what is not in the budget.
constexpr std::int64_t kOverheadMib = 24;

int frost_seconds() {
  const char* wanted = std::getenv("PENSTOCK_OUTAGE_SECONDS");
  return wanted != nullptr ? std::atoi(wanted) : 20;
}

void expect_alive(const harness::ServeProcess& serve) {
  const auto live = serve.get("/livez");
  ASSERT_TRUE(live && live->status == 200) << (live ? live->body : "no answer") << serve.log();
}

TEST(Frozen, PostgresKeepsNobodyFromLivingAndLosesNothing) {
  const int seconds = frost_seconds();
  Stand stand(
      {.pipeline_yaml = "    resources: {memory_bytes: " + std::to_string(kMemoryMib) + "MiB}\n"});
  auto serve = stand.serve("serve");
  const std::int64_t idle_kb = serve.peak_resident_kb();
  stand.produce((seconds + 5) * 10'000, 10'000);
  ASSERT_TRUE(stand.wait_until_applied(20'000)) << serve.log();
  {
    const Frozen frozen(stand.postgres().pid());
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_NO_FATAL_FAILURE(expect_alive(serve));
      std::this_thread::sleep_for(250ms);
    }
    EXPECT_GT(stand.sent(),
              static_cast<std::int64_t>(serve.metric("penstock_rows_committed_total").value_or(0)) +
                  50'000)
        << "no fault bit";
  }
  expect_exactly_once(stand.conclude(120s));
  EXPECT_LT(serve.peak_resident_kb() - idle_kb, (kMemoryMib + kOverheadMib) * 1024)
      << "peak " << serve.peak_resident_kb() << " kB, idle " << idle_kb << " kB";
}

// Claims wait for the frozen server; the group, the probes and the other members do not.
TEST(Frozen, PostgresDuringARebalanceKeepsNobodyFromLivingAndLosesNothing) {
  const int seconds = frost_seconds();
  Stand stand({.partitions = 8});
  auto first = stand.serve("a");
  auto second = stand.serve("b");
  stand.produce((seconds + 10) * 2'000, 2'000);
  ASSERT_TRUE(stand.wait_until_applied(2'000)) << first.log();
  std::optional<harness::ServeProcess> third;
  {
    const Frozen frozen(stand.postgres().pid());
    second.kill();  // the first one is given its partitions, and cannot claim them
    third.emplace(stand.spawn("c"));
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_NO_FATAL_FAILURE(expect_alive(first));
      ASSERT_NO_FATAL_FAILURE(expect_alive(*third));
      std::this_thread::sleep_for(250ms);
    }
  }
  expect_exactly_once(stand.conclude(120s));
}

}  // namespace
}  // namespace penstock::test
