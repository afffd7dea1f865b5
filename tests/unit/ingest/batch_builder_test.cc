#include "ingest/batch_builder.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace penstock::ingest {
namespace {

constexpr SteadyTime kNow{};

class BatchBuilderTest : public testing::Test {
 protected:
  InFlight account{1 << 20, 1 << 20};
  ByteBudget& budget = account.read;
  std::shared_ptr<Chain> chain = std::make_shared<Chain>(PartitionId{0, 3}, Epoch{7}, 100, nullptr);
  BatchBuilder builder{chain, 100, {.bytes = 1000, .records = 4}, account};
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
  EXPECT_EQ(builder.position(), 104);
  EXPECT_EQ(builder.next(), 111);
  EXPECT_EQ(builder.take(kNow)->range(), (OffsetRange{104, 111}));
  EXPECT_EQ(builder.position(), 111);
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
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST_F(BatchBuilderTest, CountsAsInFlightWhatItGivesAwayAndNothingElse) {
  builder.add(100, 0, std::nullopt, "x", kNow);
  builder.add(101, 0, std::nullopt, "x", kNow);
  EXPECT_EQ(account.batches(), 0) << "an open batch is still here";
  {
    const auto batch = builder.take(kNow + std::chrono::seconds(1));
    EXPECT_EQ(account.batches(), 1);
    EXPECT_EQ(account.oldest(), kNow);
    EXPECT_EQ(chain->batches_in_flight(), 1);
    EXPECT_EQ(chain->records_in_flight(), 2);
  }
  EXPECT_EQ(account.batches(), 0);
  EXPECT_EQ(chain->records_in_flight(), 0);
}

TEST_F(BatchBuilderTest, GivesBackWhatItIsDestroyedWith) {
  {
    BatchBuilder other(chain, 0, {.bytes = 1000, .records = 4}, account);
    other.add(0, 0, std::nullopt, "x", kNow);
    EXPECT_GT(budget.used(), 0U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST_F(BatchBuilderTest, DoesNotReserveAFullBatchForLightTraffic) {
  BatchBuilder large(chain, 0, {.bytes = std::size_t{1} << 20, .records = 4096}, account);
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
