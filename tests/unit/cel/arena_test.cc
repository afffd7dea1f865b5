#include "cel/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace penstock::cel {
namespace {

TEST(Arena, AlignsWhatItGives) {
  Arena arena;
  ASSERT_NE(arena.allocate(1, 1), nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate(16, 16)) % 16, 0U);
  ASSERT_NE(arena.allocate(3, 1), nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate_array<std::uint64_t>(2)) % 8, 0U);
}

TEST(Arena, GivesAnAddressForNothing) {
  Arena arena;
  EXPECT_NE(arena.allocate(0, 1), nullptr);
  EXPECT_NE(arena.copy("").data(), nullptr);
}

TEST(Arena, RefusesMoreThanItsLimitUntilReset) {
  Arena arena(10'000, 1000);
  EXPECT_NE(arena.allocate(5000), nullptr);
  EXPECT_FALSE(arena.exhausted());
  EXPECT_EQ(arena.allocate(6000), nullptr);
  EXPECT_EQ(arena.allocate_array<std::uint64_t>(SIZE_MAX / 4), nullptr);
  EXPECT_TRUE(arena.exhausted());
  arena.reset();
  EXPECT_FALSE(arena.exhausted());
  EXPECT_NE(arena.allocate(6000), nullptr);
  EXPECT_LE(arena.held_bytes(), 10'000U);
}

TEST(Arena, KeepsItsFirstBlockOverReset) {
  Arena arena(1 << 20, 1000);
  void* first = arena.allocate(100);
  for (int i = 0; i < 100; ++i) ASSERT_NE(arena.allocate(500), nullptr);
  EXPECT_GT(arena.held_bytes(), 50'000U);
  arena.reset();
  EXPECT_EQ(arena.held_bytes(), 1000U);
  EXPECT_EQ(arena.allocate(100), first);
}

TEST(Arena, MovesWithItsContent) {
  Arena arena;
  const std::string_view text = arena.copy("hello");
  Arena other = std::move(arena);
  EXPECT_EQ(text, "hello");
  EXPECT_NE(arena.allocate(10), nullptr) << "usable, and empty";  // NOLINT(bugprone-use-after-move)
  arena = std::move(other);
  EXPECT_EQ(text, "hello");
}

TEST(Arena, AllocatesNothingBeforeItIsUsed) {
  Arena arena;
  EXPECT_EQ(arena.held_bytes(), 0U);
  arena.reset();
  EXPECT_EQ(arena.held_bytes(), 0U);
}

}  // namespace
}  // namespace penstock::cel
