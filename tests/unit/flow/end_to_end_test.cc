#include <gtest/gtest.h>

#include <cstdint>

#include "flow/observer.h"

namespace penstock::flow {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;
constexpr std::int64_t kDayMs = 86'400'000;

TEST(EndToEndLatency, IsTheTimeSinceTheRecordsTimestamp) {
  EXPECT_EQ(end_to_end_us(kNowMs, kNowMs - 12), 12'000);
  EXPECT_EQ(end_to_end_us(kNowMs, kNowMs - kDayMs), kDayMs * 1000);
  EXPECT_EQ(end_to_end_us(kNowMs, kNowMs + 5), 0) << "its clock is ahead";
}

TEST(EndToEndLatency, IsNotBentByAClockThatIsFarOff) {
  for (const std::int64_t timestamp :
       {std::int64_t{-1}, std::int64_t{0}, kNowMs / 1000, kNowMs - kDayMs - 1, kNowMs + kDayMs + 1,
        kNowMs * 1000, INT64_MAX, INT64_MIN}) {
    EXPECT_FALSE(end_to_end_us(kNowMs, timestamp)) << timestamp;
  }
}

}  // namespace
}  // namespace penstock::flow
