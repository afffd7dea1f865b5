#include "ingest/batch_builder.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::ingest {
namespace {

constexpr SteadyTime kNow{};

class BatchBuilderTest : public testing::Test {
 protected:
  ByteBudget budget{1 << 20};
  BatchBuilder builder{{0, 3}, Epoch{7}, 100, {.bytes = 1000, .records = 4}, budget};
};

TEST_F(BatchBuilderTest, BuildsContiguousRangesAcrossBatches) {
  builder.add(100, 5, "key", "value", kNow);
  builder.add(103, 6, std::nullopt, std::nullopt, kNow);  // 101 and 102 were compacted away
  const auto first = builder.take(kNow);
  EXPECT_EQ(first->partition(), (PartitionId{0, 3}));
  EXPECT_EQ(first->epoch(), Epoch{7});
  EXPECT_EQ(first->range(), (OffsetRange{100, 104}));
  EXPECT_EQ(first->record(0).key, "key");
  EXPECT_EQ(first->record(1).value, std::nullopt);
  builder.add(110, 7, std::nullopt, "x", kNow);
  EXPECT_EQ(builder.handed_on(), 104);
  EXPECT_EQ(builder.next(), 111);
  EXPECT_EQ(builder.take(kNow)->range(), (OffsetRange{104, 111}));
  EXPECT_EQ(builder.handed_on(), 111);
}

TEST_F(BatchBuilderTest, IsFullByRecords) {
  for (Offset offset = 100; offset < 104; ++offset) {
    EXPECT_FALSE(builder.full());
    builder.add(offset, 0, std::nullopt, "x", kNow);
  }
  EXPECT_TRUE(builder.full());
}

TEST_F(BatchBuilderTest, IsFullByBytes) {
  builder.add(100, 0, std::nullopt, std::string(999, 'x'), kNow);
  EXPECT_FALSE(builder.full());
  EXPECT_TRUE(builder.fits(1));
  EXPECT_FALSE(builder.fits(2));
  builder.add(101, 0, std::nullopt, "x", kNow);
  EXPECT_TRUE(builder.full());
}

TEST_F(BatchBuilderTest, TakesARecordLargerThanABatchAlone) {
  EXPECT_TRUE(builder.fits(1'000'000));
  builder.add(100, 0, std::nullopt, std::string(1'000'000, 'x'), kNow);
  EXPECT_TRUE(builder.full());
  EXPECT_FALSE(builder.fits(1));
}

TEST_F(BatchBuilderTest, MovesTheRangeOverAGapAtTheEndOfTheLog) {
  builder.extend_to(100, kNow);
  EXPECT_FALSE(builder.open()) << "nothing moved";
  builder.extend_to(105, kNow);
  const auto empty = builder.take(kNow);
  ASSERT_NE(empty, nullptr);
  EXPECT_EQ(empty->size(), 0U);
  EXPECT_EQ(empty->range(), (OffsetRange{100, 105}));
  builder.add(105, 0, std::nullopt, "x", kNow);
  builder.extend_to(108, kNow);
  const auto extended = builder.take(kNow);
  EXPECT_EQ(extended->size(), 1U);
  EXPECT_EQ(extended->range(), (OffsetRange{105, 108}));
}

TEST_F(BatchBuilderTest, KeepsHeadersWithTheirRecord) {
  builder.add(100, 0, std::nullopt, "a", kNow);
  builder.add_header("name", "value");
  builder.add(101, 0, std::nullopt, "b", kNow);
  const auto batch = builder.take(kNow);
  HeaderReader headers = batch->record(0).headers();
  EXPECT_EQ(headers.next()->name, "name");
  EXPECT_FALSE(headers.next().has_value());
  EXPECT_TRUE(batch->record(1).encoded_headers.empty());
}

TEST_F(BatchBuilderTest, ChargesExactlyWhatItGivesAway) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) {
      builder.add(builder.next(), 0, "key", std::string(200, 'x'), kNow);
      builder.add_header("h", "v");
    }
    EXPECT_GT(budget.used(), 0U) << "an open batch counts";
    const auto batch = builder.take(kNow);
    EXPECT_EQ(budget.used(), batch->footprint_bytes());
    budget.release(batch->footprint_bytes());
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST_F(BatchBuilderTest, ReleasesWhatItDiscards) {
  builder.add(100, 0, std::nullopt, "x", kNow);
  builder.discard();
  builder.discard();
  EXPECT_EQ(budget.used(), 0U);
  {
    BatchBuilder other({0, 4}, Epoch{1}, 0, {.bytes = 1000, .records = 4}, budget);
    other.add(0, 0, std::nullopt, "x", kNow);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST_F(BatchBuilderTest, DoesNotReserveAFullBatchForLightTraffic) {
  BatchBuilder large({0, 0}, Epoch{1}, 0, {.bytes = std::size_t{1} << 20, .records = 4096}, budget);
  large.add(0, 0, std::nullopt, "x", kNow);
  EXPECT_LT(large.take(kNow)->footprint_bytes(), 4096U);
}

TEST_F(BatchBuilderTest, NotesWhenTheBatchWasOpenedAndHandedOn) {
  const SteadyTime later = kNow + std::chrono::seconds(1);
  builder.add(100, 0, std::nullopt, "x", kNow);
  builder.add(101, 0, std::nullopt, "x", later);
  const auto batch = builder.take(later);
  EXPECT_EQ(batch->trace.poll_begin, kNow);
  EXPECT_EQ(batch->trace.poll_end, later);
  EXPECT_EQ(builder.take(later), nullptr);
}

}  // namespace
}  // namespace penstock::ingest
