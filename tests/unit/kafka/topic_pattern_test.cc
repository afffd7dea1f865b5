#include "kafka/topic_pattern.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace penstock::kafka {
namespace {

TEST(TopicPattern, MatchesTheWholeNameOfATopic) {
  const TopicPattern pattern = *TopicPattern::make(R"(shop\.(orders|items))");
  EXPECT_TRUE(pattern.matches("shop.orders"));
  EXPECT_TRUE(pattern.matches("shop.items"));
  EXPECT_FALSE(pattern.matches("shop.orders.v2"));
  EXPECT_FALSE(pattern.matches("the-shop.orders"));
  EXPECT_FALSE(pattern.matches("shopxorders"));
}

TEST(TopicPattern, MatchesNoInternalTopic) {
  const TopicPattern pattern = *TopicPattern::make(".*");
  EXPECT_FALSE(pattern.matches("__consumer_offsets"));
  EXPECT_FALSE(pattern.matches("__anything"));
  EXPECT_TRUE(pattern.matches("_schemas"));
}

TEST(TopicPattern, SaysWhatItsGroupsHaveOfAName) {
  const TopicPattern pattern =
      *TopicPattern::make(R"((?P<schema>\w+)\.(?:v\d+\.)?(?P<table>[^.]+)(?P<rest>\..*)?)");
  using Groups = std::map<std::string, std::string>;
  EXPECT_EQ(pattern.groups(), (std::vector<std::string>{"rest", "schema", "table"}));
  EXPECT_EQ(pattern.groups_of("shop.v2.Orders"),
            (Groups{{"schema", "shop"}, {"table", "Orders"}, {"rest", ""}}));
  EXPECT_EQ(pattern.groups_of("nothing"), Groups());
}

TEST(TopicPattern, SaysWhatIsWrongWithAPattern) {
  const auto made = TopicPattern::make("shop.(");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "not a regular expression: missing ): shop.(");
  EXPECT_FALSE(TopicPattern::make("(?=ahead)")) << "RE2 looks neither ahead nor behind";
}

}  // namespace
}  // namespace penstock::kafka
