#include "concurrency/backoff.h"

#include <gtest/gtest.h>

#include <chrono>

namespace penstock {
namespace {

using std::chrono::milliseconds;

constexpr Backoff::Options kOptions{milliseconds(100), milliseconds(1000), milliseconds(10)};

TEST(Backoff, StaysBelowACeilingThatDoublesUpToTheCap) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(kOptions, seed);
    for (const int ceiling : {100, 200, 400, 800, 1000, 1000, 1000}) {
      const milliseconds delay = backoff.next();
      EXPECT_GE(delay, milliseconds(10));
      EXPECT_LT(delay, milliseconds(ceiling));
    }
  }
}

TEST(Backoff, SpreadsOverTheWholeInterval) {
  int low = 0;
  int high = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const milliseconds delay = Backoff(kOptions, seed).next();
    low += delay < milliseconds(33) ? 1 : 0;
    high += delay > milliseconds(66) ? 1 : 0;
  }
  EXPECT_GT(low, 250);
  EXPECT_GT(high, 250);
}

TEST(Backoff, BeginsAnewAfterASuccess) {
  Backoff backoff(kOptions, 1);
  for (int i = 0; i < 50; ++i) EXPECT_LT(backoff.next(), milliseconds(1000));
  backoff.reset();
  EXPECT_LT(backoff.next(), milliseconds(100));
}

TEST(Backoff, GivesTheSameDelaysForTheSameSeed) {
  Backoff a(kOptions, 42);
  Backoff b(kOptions, 42);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(Backoff, ToleratesACapBelowTheFloor) {
  Backoff backoff({milliseconds(0), milliseconds(1), milliseconds(10)}, 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(backoff.next(), milliseconds(1));
}

}  // namespace
}  // namespace penstock
