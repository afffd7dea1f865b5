// The broker is killed and comes back on the same data.
#include <gtest/gtest.h>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

TEST(Kafka, MayBeKilledAndComeBack) {
  Stand stand({.own_kafka = true});
  stand.produce_on(6'000);
  auto serve = stand.serve("serve");
  ASSERT_TRUE(stand.wait_until_applied(15'000)) << serve.log();
  stand.kafka().kill();
  must(stand.kafka().start_again());
  expect_exactly_once(stand.conclude());
  EXPECT_FALSE(serve.process().poll()) << serve.log();
}

}  // namespace
}  // namespace penstock::test
