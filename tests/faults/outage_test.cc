// PostgreSQL is away for long: ingest pauses, memory stays under its ceiling, everything arrives.
//
// Seconds of outage: 20, or PENSTOCK_OUTAGE_SECONDS (60 is what the guarantees promise).
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "faults/expect.h"
#include "harness/text_file.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMemoryMib = 24;
// What is not in the budget: the allocator's slack, buffers of connections and clients. Without a
// ceiling this load would take several times as much.
constexpr std::int64_t kOverheadMib = 24;

std::int64_t resident_kb(pid_t pid) {
  const std::string status = harness::read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : std::atoll(status.c_str() + at + 6);
}

TEST(Outage, KeepsMemoryUnderTheCeilingAndLosesNothing) {
  const char* wanted = std::getenv("PENSTOCK_OUTAGE_SECONDS");
  const int seconds = wanted != nullptr ? std::atoi(wanted) : 20;
  Stand stand(
      {.pipeline_yaml = "    resources: {memory_bytes: " + std::to_string(kMemoryMib) + "MiB}\n"});
  auto serve = stand.serve("serve");
  const std::int64_t idle_kb = resident_kb(serve.process().pid());
  stand.produce((seconds + 5) * 10'000, 10'000);
  ASSERT_TRUE(stand.wait_until_applied(20'000)) << serve.log();

  stand.postgres().stop(harness::LocalPostgres::Shutdown::immediate);
  const auto away_since = std::chrono::steady_clock::now();
  std::string reason;
  ASSERT_TRUE(wait_until([&] {
    const auto ready = serve.get("/readyz");
    if (ready && ready->status == 503) reason = ready->body;
    return reason.find("breaker_open") != std::string::npos ||
           reason.find("database_unreachable") != std::string::npos;
  })) << "/readyz does not say why: "
      << reason << serve.log();
  // Ingest pauses: from some moment on nothing more is taken from Kafka.
  double polled = -1;
  ASSERT_TRUE(wait_until([&] {
    const double before = polled;
    polled = serve.metric("penstock_records_polled_total").value_or(-2);
    std::this_thread::sleep_for(2s);  // a poller that is only slow has come round by then
    return polled == before;
  })) << serve.log();
  // Alive all the time: an orchestrator must not restart it.
  while (std::chrono::steady_clock::now() - away_since < std::chrono::seconds(seconds)) {
    const auto live = serve.get("/livez");
    ASSERT_TRUE(live && live->status == 200) << (live ? live->body : "no answer");
    std::this_thread::sleep_for(250ms);
  }
  EXPECT_GT(serve.metric("penstock_oldest_in_flight_age_seconds").value_or(-1), seconds / 2);
  EXPECT_EQ(serve.metric("penstock_records_polled_total").value_or(-2), polled)
      << "it went on taking records while PostgreSQL was away";
  EXPECT_GT(stand.sent(), static_cast<std::int64_t>(polled) + 10'000) << "no fault bit";

  must(stand.postgres().start_again());
  expect_exactly_once(stand.conclude());
  EXPECT_TRUE(
      wait_until([&] { return serve.metric("penstock_oldest_in_flight_age_seconds") == 0.0; }));
  const std::int64_t grown_kb = serve.peak_resident_kb() - idle_kb;
  EXPECT_LT(grown_kb, (kMemoryMib + kOverheadMib) * 1024)
      << "peak " << serve.peak_resident_kb() << " kB, idle " << idle_kb << " kB";
}

}  // namespace
}  // namespace penstock::test
