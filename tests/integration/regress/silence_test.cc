// What is said while something is wrong: the reason, at once, and not the same again and again.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "integration/end_to_end/service.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

TEST(Silence, ThatEveryBrokerIsAwayIsSaidOnceAndSeenFromOutside) {
  Stand stand({.own_kafka = true, .with_totals = false});
  auto serve = stand.serve("serve");
  stand.produce(2'000, 2'000);
  ASSERT_TRUE(stand.wait_until_applied(2'000)) << serve.log();
  stand.kafka().kill();
  std::string ready;
  EXPECT_TRUE(wait_until(
      [&] {
        const auto answer = serve.get("/readyz");
        ready = answer ? answer->body : "";
        return answer && answer->status == 503;
      },
      60s))
      << "every broker is dead, and it is ready\n"
      << serve.log();
  EXPECT_FALSE(ready.contains("PostgreSQL")) << ready;
  EXPECT_TRUE(wait_until([&] {
    const auto answer = serve.get("/readyz");
    ready = answer ? answer->body : "";
    return ready.contains("waiting for the leader of") ||
           ready.contains("the brokers have not answered for ");
  })) << ready;
  const auto lines = [&] {
    const std::string log = serve.log();
    return std::ranges::count(log, '\n');
  };
  const auto before = lines();
  std::this_thread::sleep_for(20s);  // nothing is to happen in it
  EXPECT_LE(lines() - before, 10) << serve.log();
  EXPECT_LE(serve.logged("\"kafka_error\""), 12) << serve.log();

  must(stand.kafka().start_again());
  EXPECT_TRUE(wait_until(
      [&] {
        const auto answer = serve.get("/readyz");
        return answer && answer->status == 200;
      },
      90s))
      << serve.log();
}

TEST(Silence, DebugShowsWhatBecomesOfEveryBatchAndRecord) {
  Service service;
  service.migrate();
  std::string config = service.config();
  config.replace(config.find("{format: json}"), 14, "{format: json, level: debug}");
  auto& serve = service.serve_while_waiting(config);
  service.feed({R"({"n":1,"s":"x"})", R"({"n":"no number"})", R"({"n":2,"s":"y"})"});
  EXPECT_TRUE(wait_until([&] { return serve.logged("\"batch_committed\"") > 0; })) << serve.log();
  EXPECT_TRUE(wait_until([&] { return serve.logged("\"record_rejected\"") == 1; })) << serve.log();
  EXPECT_EQ(serve.logged(R"("offset":1,"stage":"encode","reason":"wrong_type","message":")"), 1)
      << serve.log();
  EXPECT_EQ(serve.logged(R"("offset":1,"stage":"encode","first_reason":"wrong_type")"), 1)
      << "the first of its batch\n"
      << serve.log();
}

TEST(Silence, WithoutDebugThereIsNoneOfIt) {
  Service service;
  service.feed({R"({"n":1,"s":"x"})", R"({"n":"no number"})"});
  auto& serve = service.process();
  EXPECT_TRUE(wait_until([&] { return serve.logged("\"records_rejected\"") == 1; }));
  EXPECT_EQ(serve.logged("\"level\":\"debug\""), 0) << serve.log();
}

}  // namespace
}  // namespace penstock::test
