#include "config/table_name.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace penstock::config {
namespace {

const std::map<std::string, std::string> kGroups{
    {"table", "Orders.v2"}, {"schema", "shop"}, {"nothing", ""}};

std::string named(const std::string& text) {
  const auto name = TableName::parse(text);
  if (!name) return name.error().message;
  const auto made = name->of(kGroups);
  return made ? *made : made.error().message;
}

TEST(TableName, HasWhatAGroupHasOfTheTopicExactly) {
  EXPECT_EQ(named("{table}"), R"("Orders.v2")");
  EXPECT_EQ(named("{schema}.{table}"), R"("shop"."Orders.v2")");
  EXPECT_EQ(named("Raw_{schema}_x.{table}"), R"("raw_shop_x"."Orders.v2")")
      << "what is not quoted is folded, as in SQL";
  EXPECT_EQ(named(R"("Raw_"{table})"), R"("Raw_Orders.v2")");
  EXPECT_EQ(named(R"("a{b}.c""d".{table})"), R"("a{b}.c""d"."Orders.v2")")
      << "within quotes braces are braces";
  EXPECT_EQ(TableName::parse("{a}.{b}_{a}")->groups(), (std::vector<std::string>{"a", "b"}));
}

TEST(TableName, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(named("{table"), "'{table' has a '{' that is not closed");
  EXPECT_EQ(named("table}"), "'table}' has a '}' that closes nothing");
  EXPECT_EQ(named(R"("{table})"), R"('"{table}' has a quote that is not closed)");
  EXPECT_EQ(named("a.b.{table}"), "'a.b.{table}' has more than a schema and a table");
  EXPECT_EQ(named(".{table}"), "'.{table}' has an empty name in it");
}

TEST(TableName, ATopicMayGiveNoName) {
  EXPECT_EQ(named("{nothing}"), "the topic's name has nothing to name its table by");
  const auto name = TableName::parse("{table}");
  EXPECT_TRUE(name->of({{"table", std::string(63, 'a')}}));
  EXPECT_FALSE(name->of({{"table", std::string(64, 'a')}})) << "PostgreSQL would cut it";
}

TEST(TableName, QuotesWhateverItIsGiven) {
  EXPECT_EQ(*TableName::parse("{t}")->of({{"t", R"(x"; DROP TABLE y; --)"}}),
            R"("x""; DROP TABLE y; --")");
}

}  // namespace
}  // namespace penstock::config
