// Whether a member whose database says nothing leaves its group: only for others, and not for ever.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "component/ingest/fake_pipeline.h"
#include "support/servers.h"

namespace penstock::ingest {
namespace {

using namespace std::chrono_literals;

class MembershipTest : public testing::Test {
 protected:
  [[nodiscard]] ConsumerOptions options() const {
    ConsumerOptions options;
    options.topics = {topic_.name()};
    options.group = group_;
    options.properties = {{"bootstrap.servers", test::shared_brokers()}};
    options.clock = &clock_;
    return options;
  }

  const test::TestTopic topic_{/*partitions=*/2};
  const std::string group_ = test::unique_name("group");
  const HurriedClock clock_;
};

TEST_F(MembershipTest, LeavesItsPartitionsToTheOthersAndComesBackWhenTheDatabaseAnswers) {
  FakeStore silent;
  FakeStore healthy;
  FakePipeline first(silent, options());
  FakePipeline second(healthy, options());
  ASSERT_TRUE(first.consumer().start());
  ASSERT_TRUE(second.consumer().start());
  ASSERT_TRUE(eventually(
      [&] { return first.partitions_reading() == 1 && second.partitions_reading() == 1; }));
  silent.fall_silent(Silence{.since = clock_.steady_now()});
  ASSERT_TRUE(eventually([&] { return second.partitions_reading() == 2; }));
  EXPECT_EQ(first.partitions_reading(), 0U);
  EXPECT_EQ(first.consumer().stats().steps_aside.value(), 1U);
  EXPECT_EQ(second.consumer().stats().steps_aside.value(), 0U);
  silent.fall_silent(std::nullopt);
  ASSERT_TRUE(eventually(
      [&] { return first.partitions_reading() == 1 && second.partitions_reading() == 1; }));
}

TEST_F(MembershipTest, StaysWhileItIsAlone) {
  FakeStore store;
  FakePipeline only(store, options());
  ASSERT_TRUE(only.consumer().start());
  ASSERT_TRUE(eventually([&] { return only.partitions_reading() == 2; }));
  const SteadyTime since = clock_.steady_now();
  store.fall_silent(Silence{.since = since});
  // Several times the patience; the group is asked again every few seconds.
  ASSERT_TRUE(eventually([&] { return clock_.steady_now() > since + 90s; }));
  EXPECT_EQ(only.consumer().stats().steps_aside.value(), 0U);
  EXPECT_EQ(only.partitions_reading(), 2U);
}

}  // namespace
}  // namespace penstock::ingest
