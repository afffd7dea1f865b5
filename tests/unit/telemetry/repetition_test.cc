#include "telemetry/repetition.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

class Repetition : public testing::Test {
 protected:
  bool admit(std::string_view event, std::vector<LogField> fields = {}) {
    return limiter_.admit(event, fields, now_, ended_);
  }

  SteadyTime now_{1h};
  RepetitionLimiter limiter_{3, 10s};
  std::vector<RepetitionLimiter::Suppressed> ended_;
};

TEST_F(Repetition, LetsABurstPassAndHoldsBackTheRest) {
  EXPECT_TRUE(admit("retry"));
  EXPECT_TRUE(admit("retry"));
  EXPECT_TRUE(admit("retry"));
  EXPECT_FALSE(admit("retry"));
  EXPECT_TRUE(admit("other"));
}

TEST_F(Repetition, TellsPartitionsApartButNotMessages) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(admit("retry", {{"partition", 1}, {"attempt", i}}));
  }
  EXPECT_FALSE(admit("retry", {{"partition", 1}, {"attempt", 99}}));
  EXPECT_TRUE(admit("retry", {{"partition", 2}, {"attempt", 0}}));
  EXPECT_TRUE(admit("retry", {{"pipeline", "a"}, {"partition", 1}}));
}

TEST_F(Repetition, SaysHowManyThereWereOnceTheWindowIsOver) {
  for (int i = 0; i < 8; ++i) std::ignore = admit("retry", {{"partition", 1}, {"attempt", i}});
  now_ += 9s;
  limiter_.collect(now_, ended_);
  EXPECT_TRUE(ended_.empty());
  now_ += 1s;
  limiter_.collect(now_, ended_);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].event, "retry");
  EXPECT_EQ(ended_[0].count, 5U);
  ASSERT_EQ(ended_[0].scope.size(), 1U);
  EXPECT_EQ(ended_[0].scope[0].name, "partition");
}

TEST_F(Repetition, BeginsANewWindowWithTheNextEvent) {
  for (int i = 0; i < 5; ++i) std::ignore = admit("retry");
  now_ += 10s;
  EXPECT_TRUE(admit("retry"));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].count, 2U);
  EXPECT_TRUE(admit("retry"));
  EXPECT_TRUE(admit("retry"));
  EXPECT_FALSE(admit("retry"));
}

TEST_F(Repetition, ForgetsNothingAtTheEnd) {
  for (int i = 0; i < 5; ++i) std::ignore = admit("retry");
  limiter_.collect_all(ended_);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].count, 2U);
}

TEST_F(Repetition, BoundsItsMemory) {
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < RepetitionLimiter::kMaxKeys * 2; ++i) {
    if (admit("event_" + std::to_string(i))) ++passed;
  }
  EXPECT_EQ(passed, RepetitionLimiter::kMaxKeys + 3);
  limiter_.collect_all(ended_);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].count, RepetitionLimiter::kMaxKeys - 3);
}

}  // namespace
}  // namespace penstock::telemetry
