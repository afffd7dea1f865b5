#include "write/breaker.h"

#include <gtest/gtest.h>

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

Breaker make() {
  return Breaker({.backoff_min = 10ms,
                  .backoff_max = 100ms,
                  .configuration_max = 300ms,
                  .refusal_max = 600ms,
                  .failures = 3,
                  .after = 5s},
                 1);
}

TEST(Breaker, OpensOnceAfterFailuresInARow) {
  Breaker breaker = make();
  const SteadyTime now{};
  EXPECT_FALSE(breaker.failed(now));
  EXPECT_FALSE(breaker.failed(now));
  EXPECT_FALSE(breaker.open());
  EXPECT_TRUE(breaker.failed(now));
  EXPECT_TRUE(breaker.open());
  EXPECT_FALSE(breaker.failed(now));
}

TEST(Breaker, OpensWhenTheFirstFailureIsLongAgo) {
  Breaker breaker = make();
  EXPECT_FALSE(breaker.failed(SteadyTime{}));
  EXPECT_TRUE(breaker.failed(SteadyTime{} + 5s));
}

TEST(Breaker, ClosesOnceAfterASuccessAndCountsAnew) {
  Breaker breaker = make();
  EXPECT_FALSE(breaker.succeeded());
  for (int i = 0; i < 3; ++i) static_cast<void>(breaker.failed(SteadyTime{}));
  EXPECT_TRUE(breaker.succeeded());
  EXPECT_FALSE(breaker.open());
  EXPECT_FALSE(breaker.succeeded());
  EXPECT_FALSE(breaker.failed(SteadyTime{} + 60s));
}

TEST(Breaker, DelaysStayWithinTheirBounds) {
  Breaker breaker = make();
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(breaker.failed(SteadyTime{}));
    EXPECT_LE(breaker.delay(), 100ms);
    EXPECT_LE(breaker.quick_delay(), 200ms);
    EXPECT_LE(breaker.configuration_delay(), 300ms);
    EXPECT_LE(breaker.refusal_delay(), 600ms);
  }
}

}  // namespace
}  // namespace penstock::write
