#include "ingest/topic_ids.h"

#include <gtest/gtest.h>

namespace penstock::ingest {
namespace {

constexpr const char* kLearned =
    "[thrd:main]: Topic orders changed id from AAAAAAAAAAAAAAAAAAAAAA to 1kjXyMsVT6a0Bk2qS4cHFw";
constexpr const char* kChanged =
    "[thrd:main]: Topic orders changed id from 1kjXyMsVT6a0Bk2qS4cHFw to yt0Zc1y3QkWm3aJ6Gk5vBA";

TEST(TopicIds, TellOfATopicThatWasMadeAgainOnce) {
  TopicIds ids;
  ids.hear(kLearned);
  EXPECT_TRUE(ids.take_changes().empty()) << "to learn it is no change";
  ids.hear("[thrd:main]: Topic orders [0] Leader 1 Epoch 0");
  ids.hear(kChanged);
  const auto changes = ids.take_changes();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].topic, "orders");
  EXPECT_EQ(changes[0].was, "1kjXyMsVT6a0Bk2qS4cHFw");
  EXPECT_EQ(changes[0].is, "yt0Zc1y3QkWm3aJ6Gk5vBA");
  EXPECT_TRUE(ids.take_changes().empty());
}

TEST(TopicIds, AgreeWithWhatIsNotKnown) {
  TopicIds ids;
  EXPECT_TRUE(ids.agrees("orders", "x"));
  ids.hear(kLearned);
  EXPECT_TRUE(ids.agrees("orders", "1kjXyMsVT6a0Bk2qS4cHFw"));
  EXPECT_TRUE(ids.agrees("orders", ""));
  EXPECT_FALSE(ids.agrees("orders", "yt0Zc1y3QkWm3aJ6Gk5vBA"));
}

}  // namespace
}  // namespace penstock::ingest
