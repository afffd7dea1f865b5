// Penstock starts before the servers it needs, as everything does when a whole cluster comes up.
#include <gtest/gtest.h>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

void expect_to_wait(const harness::ServeProcess& serve, const std::string& why) {
  std::string ready;
  ASSERT_TRUE(wait_until([&] {
    const auto answer = serve.get("/readyz");
    ready = answer ? answer->body : "no answer";
    return answer && answer->status == 503 && ready.contains(why);
  })) << ready
      << serve.log();
  const auto live = serve.get("/livez");
  EXPECT_TRUE(live && live->status == 200) << "an orchestrator would restart it for nothing";
}

void expect_ready(const harness::ServeProcess& serve) {
  EXPECT_TRUE(wait_until([&] {
    const auto ready = serve.get("/readyz");
    return ready && ready->status == 200;
  })) << serve.log();
  EXPECT_EQ(serve.logged("\"waiting_to_start\""), 1) << serve.log();
}

TEST(Start, WaitsForPostgresThatComesLater) {
  Stand stand;
  stand.produce(10'000, 10'000);
  stand.postgres().stop(harness::LocalPostgres::Shutdown::immediate);
  auto serve = stand.spawn("serve");
  expect_to_wait(serve, "waiting for PostgreSQL: ");
  must(stand.postgres().start_again());
  must(serve.wait_until_serving(60s));
  expect_exactly_once(stand.conclude());
  expect_ready(serve);
}

TEST(Start, WaitsForKafkaThatComesLater) {
  Stand stand({.own_kafka = true});
  stand.produce(10'000, 10'000);
  ASSERT_TRUE(wait_until([&] { return stand.producer_finished(); }));
  stand.kafka().stop();
  auto serve = stand.spawn("serve");
  expect_to_wait(serve, "waiting for Kafka: ");
  must(stand.kafka().start_again());
  must(serve.wait_until_serving(60s));
  expect_exactly_once(stand.conclude());
  expect_ready(serve);
}

}  // namespace
}  // namespace penstock::test
