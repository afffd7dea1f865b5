// A process that is told to end does so, although a server it waits for has frozen: its sockets
// stay open, and nothing answers.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "faults/expect.h"
#include "support/frozen.h"
#include "support/stand.h"
#include "support/tcp_proxy.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrainTimeout = 2s;
constexpr auto kMore = 10s;  // what a process may take beyond it, as docs/operations.md says
constexpr int kForced = 3;   // the exit status of one that left with something hanging

StandOptions options_of(bool own_kafka) {
  return {.own_kafka = own_kafka,
          .pipeline_yaml = "    drain_timeout: " +
                           std::to_string(std::chrono::seconds(kDrainTimeout).count()) + "s\n"};
}

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin);
}

// Ends by itself within the limit, with success or with the status of a forced end; which it was,
// and what was left hanging, is in the log.
void expect_to_end(harness::ServeProcess& serve, std::chrono::milliseconds limit) {
  const auto begin = std::chrono::steady_clock::now();
  const auto status = serve.process().wait_for(limit);
  ASSERT_TRUE(status) << "still there after " << since(begin) << "\n" << serve.log();
  testing::Test::RecordProperty("ended_after_ms", std::to_string(since(begin).count()));
  EXPECT_EQ(status->signal, 0) << status->to_string();
  EXPECT_EQ(serve.logged("\"shutdown_forced\""), status->code == kForced ? 1 : 0) << serve.log();
  EXPECT_TRUE(status->code == 0 || status->code == kForced) << status->to_string();
}

TEST(Shutdown, EndsWhilePostgresIsFrozenAndLosesNothing) {
  Stand stand(options_of(false));
  stand.produce(30'000, 5'000);
  auto serve = stand.serve("serve");
  ASSERT_TRUE(stand.wait_until_applied(5'000)) << serve.log();
  {
    const Frozen frozen(stand.postgres().pid());
    serve.process().signal(SIGTERM);
    expect_to_end(serve, kDrainTimeout + kMore);
  }
  auto next = stand.serve("next");
  expect_exactly_once(stand.conclude());
}

TEST(Shutdown, EndsWhileKafkaIsFrozenAndLosesNothing) {
  Stand stand(options_of(true));
  stand.produce(30'000, 5'000);
  auto serve = stand.serve("serve");
  ASSERT_TRUE(stand.wait_until_applied(5'000)) << serve.log();
  {
    const Frozen frozen(stand.kafka().pid());
    serve.process().signal(SIGTERM);
    expect_to_end(serve, kDrainTimeout + kMore);
  }
  auto next = stand.serve("next");
  expect_exactly_once(stand.conclude());
}

TEST(Shutdown, EndsWhileTheLinkToPostgresIsFrozenAndLosesNothing) {
  Stand stand(options_of(false));
  stand.produce(30'000, 5'000);
  {
    TcpProxy link(stand.postgres().port());
    auto serve = stand.serve(
        "serve", {.conninfo = stand.conninfo() + " port=" + std::to_string(link.port())});
    ASSERT_TRUE(stand.wait_until_applied(5'000)) << serve.log();
    link.freeze(true);
    serve.process().signal(SIGTERM);
    expect_to_end(serve, kDrainTimeout + kMore);
  }
  auto next = stand.serve("next");
  expect_exactly_once(stand.conclude());
}

TEST(Shutdown, EndsWhilePostgresIsFrozenAtTheStart) {
  Stand stand(options_of(false));
  const Frozen frozen(stand.postgres().pid());
  auto serve = stand.spawn("serve");
  serve.process().signal(SIGTERM);
  expect_to_end(serve, kDrainTimeout + kMore);
}

TEST(Shutdown, EndsWithinSecondsOfASecondSignal) {
  Stand stand(options_of(true));
  stand.produce(30'000, 5'000);
  auto serve = stand.serve("serve");
  ASSERT_TRUE(stand.wait_until_applied(5'000)) << serve.log();
  {
    const Frozen no_database(stand.postgres().pid());
    const Frozen no_broker(stand.kafka().pid());
    serve.process().signal(SIGTERM);
    // The first one has been taken when the process is no longer ready.
    ASSERT_TRUE(wait_until([&] {
      const auto ready = serve.get("/readyz");
      return ready && ready->body.contains("shutting_down");
    })) << serve.log();
    serve.process().signal(SIGTERM);
    expect_to_end(serve, 5s);
  }
  auto next = stand.serve("next");
  expect_exactly_once(stand.conclude());
}

}  // namespace
}  // namespace penstock::test
