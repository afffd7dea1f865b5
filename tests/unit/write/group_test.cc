#include "write/group.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::write {
namespace {

// A batch of `rows` rows of four bytes whose shapes are `shapes` in turn, three rows each.
std::unique_ptr<RowBatch> batch(std::int32_t partition, std::int64_t epoch, Offset from,
                                std::uint32_t rows, std::vector<std::uint16_t> shapes = {0}) {
  auto made = std::make_unique<RowBatch>();
  made->source = std::make_unique<RecordBatch>(PartitionId{0, partition}, Epoch{epoch}, from, 64);
  TableRows table;
  for (std::uint16_t i = 0; i < shapes.size(); ++i) table.shapes.push_back({{shapes[i]}});
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (row % 3 == 0) {
      table.runs.push_back({row, static_cast<std::uint16_t>((row / 3) % shapes.size())});
    }
    table.rows.push_back({row, row * 4});
    table.bytes.insert(table.bytes.end(), 4, static_cast<char>('a' + row));
    made->source->add_record(from + row, 0, std::nullopt, "v");
  }
  made->tables.push_back(std::move(table));
  return made;
}

TEST(Group, AcceptsWhatFollowsInItsPartitionOnly) {
  Group group;
  group.batches.push_back(batch(0, 1, 0, 3));
  EXPECT_TRUE(group.accepts(*batch(0, 1, 3, 3)));
  EXPECT_FALSE(group.accepts(*batch(0, 1, 4, 3)));  // a gap
  EXPECT_FALSE(group.accepts(*batch(0, 1, 0, 3)));  // again
  EXPECT_FALSE(group.accepts(*batch(0, 2, 3, 3)));  // another claim
  EXPECT_TRUE(group.accepts(*batch(1, 2, 9, 3)));
}

TEST(Group, MovesEachPartitionOnceInSortedOrder) {
  Group group;
  group.batches.push_back(batch(2, 5, 0, 3));
  group.batches.push_back(batch(1, 4, 10, 3));
  group.batches.push_back(batch(2, 5, 3, 2));
  group.index();
  ASSERT_EQ(group.advances().size(), 2U);
  EXPECT_EQ(group.advances()[0].partition.partition, 1);
  EXPECT_EQ(group.advances()[0].range, (OffsetRange{10, 13}));
  EXPECT_EQ(group.advances()[1].epoch, Epoch{5});
  EXPECT_EQ(group.advances()[1].range, (OffsetRange{0, 5}));
}

TEST(Group, CountsStatementsAcrossBatches) {
  Group group;
  group.batches.push_back(batch(0, 1, 0, 9, {0, 1}));  // 0 1 0
  group.batches.push_back(batch(1, 1, 0, 3, {0}));     // joins the last run
  group.index();
  EXPECT_EQ(group.rows(), 12U);
  EXPECT_EQ(group.statements(), 3U);
}

TEST(Group, CutsAnyRunOfRows) {
  Group group;
  group.batches.push_back(batch(0, 1, 0, 7, {0, 1}));
  group.batches.push_back(batch(1, 1, 0, 2));
  group.index();
  for (std::size_t from = 0; from <= group.rows(); ++from) {
    for (std::size_t to = from; to <= group.rows(); ++to) {
      std::size_t next = from;
      std::string bytes;
      for (const Slice& slice : group.cut(from, to)) {
        EXPECT_EQ(slice.number, next);
        EXPECT_EQ(slice.bytes().size(), slice.count * 4U);
        next += slice.count;
        bytes += slice.bytes();
      }
      EXPECT_EQ(next, to);
      std::string expected;
      for (std::size_t row = from; row < to; ++row) {
        expected.append(4, static_cast<char>('a' + (row < 7 ? row : row - 7)));
      }
      EXPECT_EQ(bytes, expected);
    }
  }
}

TEST(Group, OfBatchesWithoutRowsStillMovesPositions) {
  Group group;
  group.batches.push_back(batch(0, 1, 0, 0));
  group.batches.back()->source->extend_to(5);
  group.index();
  EXPECT_EQ(group.rows(), 0U);
  EXPECT_TRUE(group.slices().empty());
  ASSERT_EQ(group.advances().size(), 1U);
  EXPECT_EQ(group.advances()[0].range.to, 5);
}

}  // namespace
}  // namespace penstock::write
