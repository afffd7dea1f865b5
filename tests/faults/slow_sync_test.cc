// A server whose disk is slow: every COMMIT takes a second. It is neither away nor frozen, and
// everything goes on, with more in each transaction.
//
// Seconds of it: 20, or PENSTOCK_OUTAGE_SECONDS.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "faults/expect.h"
#include "support/stand.h"
#include "support/tcp_proxy.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kSync = 1s;
constexpr std::int64_t kMemoryMib = 24;
// As in outage_test.cc: what is not in the budget.
constexpr std::int64_t kOverheadMib = 24;
constexpr auto kDrainTimeout = 15s;

StandOptions slow(const std::string& pipeline_yaml = "") {
  return {.slow_disk = true, .pipeline_yaml = pipeline_yaml};
}

double committed(const harness::ServeProcess& serve) {
  return serve.metric("penstock_rows_committed_total").value_or(0);
}

std::chrono::steady_clock::duration time_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::steady_clock::now() - begin;
}

TEST(SlowSync, KeepsNobodyFromLivingAndLosesNothing) {
  const char* wanted = std::getenv("PENSTOCK_OUTAGE_SECONDS");
  const int seconds = wanted != nullptr ? std::atoi(wanted) : 20;
  Stand stand(slow("    resources: {memory_bytes: " + std::to_string(kMemoryMib) + "MiB}\n"));
  auto serve = stand.serve("serve");
  const std::int64_t idle_kb = serve.peak_resident_kb();
  stand.produce((seconds + 5) * 10'000, 10'000);
  ASSERT_TRUE(stand.wait_until_applied(20'000)) << serve.log();
  stand.delay_syncs(kSync);
  EXPECT_GE(time_of([&] { stand.execute("CREATE TABLE probe ()"); }), kSync) << "no fault bit";
  const double before = committed(serve);
  // A rebalance: claims, too, are as slow as the disk.
  auto second = stand.spawn("second");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    for (const harness::ServeProcess* process : {&serve, &second}) {
      const auto live = process->get("/livez");
      ASSERT_TRUE(live && live->status == 200) << (live ? live->body : "no answer") << serve.log();
    }
    std::this_thread::sleep_for(250ms);
  }
  EXPECT_GT(committed(serve) + committed(second), before) << "it is slow, and not away";
  stand.delay_syncs(0s);
  expect_exactly_once(stand.conclude(120s));
  EXPECT_EQ(serve.metric("penstock_fenced_total").value_or(-1), 0) << "nobody took anything";
  EXPECT_LT(serve.peak_resident_kb() - idle_kb, (kMemoryMib + kOverheadMib) * 1024)
      << "peak " << serve.peak_resident_kb() << " kB, idle " << idle_kb << " kB";
}

TEST(SlowSync, DrainsAndEndsInTimeWithEverythingCommitted) {
  Stand stand(slow(
      "    drain_timeout: " + std::to_string(std::chrono::seconds(kDrainTimeout).count()) + "s\n"));
  stand.produce(150'000, 5'000);
  {
    auto serve = stand.serve("serve");
    ASSERT_TRUE(stand.wait_until_applied(5'000)) << serve.log();
    stand.delay_syncs(kSync);
    const std::string address = "127.0.0.1:" + std::to_string(serve.grpc_port());
    const auto drained = must(
        stand.run({"ctl", "drain", Stand::kPipeline, "--timeout", "20", "--address", address}));
    EXPECT_TRUE(drained.status.success()) << drained.text;
    const double polled = serve.metric("penstock_records_polled_total").value_or(-1);
    EXPECT_EQ(static_cast<double>(stand.applied()), polled) << "everything polled is committed";
    const auto resumed = must(stand.run({"ctl", "resume", Stand::kPipeline, "--address", address}));
    EXPECT_TRUE(resumed.status.success()) << resumed.text;
    ASSERT_TRUE(stand.wait_until_applied(static_cast<std::int64_t>(polled) + 1)) << serve.log();

    serve.process().signal(SIGTERM);
    const auto status = serve.process().wait_for(kDrainTimeout + 10s);
    ASSERT_TRUE(status) << "still there" << serve.log();
    EXPECT_TRUE(status->success()) << status->to_string() << serve.log();
    EXPECT_EQ(serve.logged("\"drain_incomplete\""), 0) << serve.log();
  }
  stand.delay_syncs(0s);
  auto next = stand.serve("next");
  expect_exactly_once(stand.conclude());
}

// The backend hears that it is to end when the disk has answered; until then it may still commit.
TEST(SlowSync, AnUnknownCommitIsDecidedWhenItsBackendIsGone) {
  constexpr int kTimes = 3;
  Stand stand({.bad_one_in = 2'000, .slow_disk = true});
  TcpProxy proxy(stand.postgres().port());
  auto serve = stand.serve(
      "serve", {.conninfo = stand.conninfo() + " port=" + std::to_string(proxy.port())});
  stand.produce(30'000, 2'000);
  ASSERT_TRUE(stand.wait_until_applied(4'000)) << serve.log();
  stand.delay_syncs(kSync);
  for (int time = 1; time <= kTimes; ++time) {
    proxy.arm(TcpProxy::Fault::cut_after);
    ASSERT_TRUE(wait_until([&] { return proxy.fired() == time; }, 60s)) << serve.log();
  }
  stand.delay_syncs(0s);
  expect_exactly_once(stand.conclude());
  EXPECT_GT(serve.metric("penstock_commits_unknown_total").value_or(0), 0)
      << "no outcome was unknown";
  EXPECT_EQ(serve.metric("penstock_fenced_total").value_or(-1), 0)
      << "a COMMIT was sent again that had been done";
}

}  // namespace
}  // namespace penstock::test
