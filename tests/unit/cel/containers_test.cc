#include "cel/containers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "cel/compare.h"
#include "cel/eval_error.h"

namespace penstock::cel {
namespace {

TEST(MapBuilder, KeepsTheDocumentsOrderAndTheLastOfEqualKeys) {
  for (const int others : {0, 100}) {  // a linear and a hashed map
    Arena arena;
    MapBuilder builder(arena);
    builder.add(Value::of_string("b"), Value::of_int(1));
    builder.add(Value::of_string("a"), Value::of_int(2));
    builder.add(Value::of_string("b"), Value::of_int(3));
    std::vector<std::string> names;
    for (int i = 0; i < others; ++i) names.push_back("k" + std::to_string(i));
    for (const std::string& name : names) builder.add(Value::of_string(name), Value::null());
    const Value map = builder.finish();
    EXPECT_TRUE(builder.had_duplicates());
    ASSERT_EQ(map.as_map().size(), 2U + static_cast<unsigned>(others));
    EXPECT_EQ(map.as_map().entries()[0].key.as_string(), "b");
    EXPECT_EQ(map.as_map().entries()[0].value.as_int(), 3);
    EXPECT_EQ(map.as_map().find("a")->as_int(), 2);
    EXPECT_EQ(map.as_map().find("c"), nullptr);
  }
}

TEST(MapBuilder, FindsNumbersWhateverTheirType) {
  for (const int others : {0, 100}) {
    Arena arena;
    MapBuilder builder(arena);
    builder.add(Value::of_int(7), Value::of_string("seven"));
    for (int i = 0; i < others; ++i) builder.add(Value::of_int(1000 + i), Value::null());
    const Value map = builder.finish();
    EXPECT_NE(map.as_map().find(Value::of_uint(7)), nullptr);
    EXPECT_NE(map.as_map().find(Value::of_double(7.0)), nullptr);
    EXPECT_EQ(map.as_map().find(Value::of_double(7.5)), nullptr);
    EXPECT_EQ(map.as_map().find(Value::of_string("7")), nullptr);
    EXPECT_EQ(map.as_map().find(Value::of_bool(true)), nullptr);
  }
}

TEST(SameText, SeesADifferenceOfOneByteAnywhere) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string text(size, 'a');
    EXPECT_TRUE(same_text(text, std::string(text)));
    EXPECT_FALSE(same_text(text, text + "a"));
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = 'b';
      EXPECT_FALSE(same_text(text, other)) << at << " of " << size;
    }
  }
}

TEST(MapBuilder, IsNotQuadraticInItsKeys) {
  Arena arena;
  std::vector<std::string> names;
  for (int i = 0; i < 200'000; ++i) names.push_back("key-" + std::to_string(i));
  const auto start = std::chrono::steady_clock::now();
  MapBuilder builder(arena);
  for (const std::string& name : names) builder.add(Value::of_string(name), Value::of_int(1));
  const Value map = builder.finish();
  for (const std::string& name : names) ASSERT_NE(map.as_map().find(name), nullptr);
  // Quadratic would be 20,000,000,000 comparisons.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Builders, GiveAnErrorWhenTheArenaIsFull) {
  Arena arena(2000, 500);
  ListBuilder list(arena);
  MapBuilder map(arena);
  for (int i = 0; i < 1000; ++i) {
    list.add(Value::of_int(i));
    map.add(Value::of_int(i), Value::null());
  }
  ASSERT_TRUE(list.finish().is_error());
  EXPECT_EQ(list.finish().as_error().code, ErrorCode::kLimitExceeded);
  ASSERT_TRUE(map.finish().is_error());
}

TEST(Builders, MakeEmptyContainers) {
  Arena arena;
  EXPECT_EQ(ListBuilder(arena).finish().as_list().size, 0U);
  MapBuilder map(arena);
  EXPECT_EQ(map.finish().as_map().size(), 0U);
}

}  // namespace
}  // namespace penstock::cel
