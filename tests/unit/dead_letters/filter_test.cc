// What people say of the dead letters that they mean.
#include "dead_letters/filter.h"

#include <gtest/gtest.h>

namespace penstock::dead_letters {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;  // 2023-11-14T22:13:20Z

std::string time_of(const char* text) {
  const auto read = read_time(text, kNow);
  return read ? *read : "refused: " + read.error().message;
}

TEST(ReadTime, TakesAnAgeBeforeNow) {
  EXPECT_EQ(time_of("20s"), "2023-11-14T22:13:00Z");
  EXPECT_EQ(time_of("13m"), "2023-11-14T22:00:20Z");
  EXPECT_EQ(time_of("2h"), "2023-11-14T20:13:20Z");
  EXPECT_EQ(time_of("14d"), "2023-10-31T22:13:20Z");
}

TEST(ReadTime, TakesADateWithAndWithoutATime) {
  EXPECT_EQ(time_of("2024-02-29"), "2024-02-29T00:00:00Z");
  EXPECT_EQ(time_of("2024-02-29T10:30"), "2024-02-29T10:30:00Z");
  EXPECT_EQ(time_of("2024-02-29T10:30:59Z"), "2024-02-29T10:30:59Z");
}

TEST(ReadTime, RefusesWhatIsNeitherAndSaysWhatWouldDo) {
  for (const char* text :
       {"", "h", "2", "2w", "-2h", "2h ", "99999999999999999999d", "400000d", "2023-02-29",
        "2024-13-01", "2024-02-29T24:00", "2024-02-29T10:60", "2024-02-29T10", "2024-02-29 10:30",
        "2024-02-29T10:30:00+01:00", "yesterday", "2024-2"}) {
    const auto read = read_time(text, kNow);
    ASSERT_FALSE(read.has_value()) << text << " is " << *read;
    EXPECT_EQ(read.error().kind, ErrorKind::invalid_argument);
    EXPECT_TRUE(read.error().hint.contains("2026-11-29T10:30:00Z")) << read.error().hint;
  }
}

TEST(ReadKey, TakesTextAsItIsAndBytesInHexadecimal) {
  EXPECT_EQ(*read_key("order-7"), "order-7");
  EXPECT_EQ(*read_key("\\x00ff"), std::string("\0\xff", 2));
  EXPECT_EQ(read_key("\\x0").error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(read_key("\\xzz").error().kind, ErrorKind::invalid_argument);
}

TEST(ReadSqlstate, TakesACodeOrAClass) {
  EXPECT_EQ(*read_sqlstate("23505"), "23505");
  EXPECT_EQ(*read_sqlstate("23"), "23");
  for (const char* text : {"", "2", "235", "2350a", "23505 ", "unique_violation"}) {
    EXPECT_EQ(read_sqlstate(text).error().kind, ErrorKind::invalid_argument) << text;
  }
}

TEST(ConditionOf, HasEveryValueAsAParameter) {
  Filter filter;
  EXPECT_TRUE(filter.empty());
  EXPECT_EQ(condition_of(filter).sql, "true");
  filter.pipeline = "o'; DROP TABLE orders";
  filter.key = std::string("\0", 1);
  filter.ids = {1, 17};
  EXPECT_FALSE(filter.empty());
  const Condition condition = condition_of(filter);
  EXPECT_EQ(condition.sql,
            "true AND d.pipeline = $1::text AND d.key = decode($2::text, 'hex') AND d.id = ANY "
            "($3::bigint[])");
  EXPECT_EQ(condition.parameters,
            (std::vector<std::optional<std::string>>{"o'; DROP TABLE orders", "00", "{1,17}"}));
}

}  // namespace
}  // namespace penstock::dead_letters
