#include "core/topics.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace penstock {
namespace {

TEST(Topics, NumbersNamesInTheOrderInWhichTheyCome) {
  Topics topics{"orders", "items"};
  EXPECT_EQ(topics.find("items"), TopicIndex{1});
  EXPECT_EQ(topics.add("clicks"), TopicIndex{2});
  EXPECT_EQ(topics.add("orders"), TopicIndex{0}) << "one that is there keeps its number";
  EXPECT_EQ(topics.name(2), "clicks");
  EXPECT_EQ(topics.names(), (std::vector<std::string>{"orders", "items", "clicks"}));
  EXPECT_FALSE(topics.find("others"));
}

TEST(Topics, CopiesShareWhatIsAdded) {
  Topics topics;
  const Topics copy = topics;
  topics.add("orders");
  EXPECT_EQ(copy.size(), 1U);
  EXPECT_EQ(copy.name(0), "orders");
}

TEST(Topics, ANameStaysWhereItIsWhileOthersComeUntilThereIsNoRoom) {
  Topics topics{"first"};
  const std::string& first = topics.name(0);
  for (std::size_t i = 1; i < Topics::kMost; ++i) {
    ASSERT_TRUE(topics.add("t" + std::to_string(i)));
  }
  EXPECT_EQ(&topics.name(0), &first);
  EXPECT_FALSE(topics.add("one too many"));
  EXPECT_EQ(topics.name(65'535), "t65535");
}

TEST(Topics, NamesAreReadWhileOthersComeInAnotherThread) {
  Topics topics;
  std::atomic<bool> done{false};
  std::thread reader([copy = topics, &done] {
    while (!done) {
      const std::size_t size = copy.size();
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(copy.name(static_cast<TopicIndex>(i)), "t" + std::to_string(i));
      }
    }
  });
  for (int i = 0; i < 2000; ++i) topics.add("t" + std::to_string(i));
  done = true;
  reader.join();
}

}  // namespace
}  // namespace penstock
