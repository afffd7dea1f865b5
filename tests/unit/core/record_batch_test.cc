#include "core/record_batch.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

namespace penstock {
namespace {

RecordBatch batch(std::size_t reserve = 0) {
  return {std::make_shared<Chain>(PartitionId{1, 2}, Epoch{3}, 10, nullptr), 10, reserve};
}

TEST(RecordBatch, GivesBackWhatWasAdded) {
  RecordBatch records = batch();
  records.add_record(10, 111, "key", "value");
  records.add_record(11, -1, std::nullopt, std::nullopt);
  records.add_record(12, 0, "", "");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records.partition(), (PartitionId{1, 2}));
  EXPECT_EQ(records.epoch(), Epoch{3});
  EXPECT_EQ(records.range(), (OffsetRange{10, 13}));
  EXPECT_EQ(records.record(0).offset, 10);
  EXPECT_EQ(records.record(0).timestamp_ms, 111);
  EXPECT_EQ(records.record(0).key, "key");
  EXPECT_EQ(records.record(0).value, "value");
  EXPECT_EQ(records.record(1).key, std::nullopt);
  EXPECT_EQ(records.record(1).value, std::nullopt);
  EXPECT_EQ(records.record(2).key, "");
  EXPECT_EQ(records.record(2).value, "");
}

TEST(RecordBatch, TellsANullHeaderFromAnEmptyOne) {
  RecordBatch records = batch();
  records.add_record(10, 0, std::nullopt, "a");
  records.add_header("null", std::nullopt);
  records.add_header("empty", "");
  records.add_header("", "unnamed");
  records.add_record(11, 0, std::nullopt, "b");
  HeaderReader headers = records.record(0).headers();
  auto header = headers.next();
  EXPECT_EQ(header->name, "null");
  EXPECT_EQ(header->value, std::nullopt);
  header = headers.next();
  EXPECT_EQ(header->name, "empty");
  EXPECT_EQ(header->value, "");
  header = headers.next();
  EXPECT_EQ(header->name, "");
  EXPECT_EQ(header->value, "unnamed");
  EXPECT_FALSE(headers.next().has_value());
  EXPECT_FALSE(records.record(1).headers().next().has_value());
}

TEST(RecordBatch, KeepsReadableZerosBehindTheLastPayload) {
  RecordBatch records = batch(100);
  std::string payload(100 - RecordBatch::kPadding, 'x');
  for (Offset offset = 10; offset < 40; ++offset) {
    records.add_record(offset, 0, std::nullopt, payload);
    const auto value = *records.record(records.size() - 1).value;
    for (std::size_t i = 0; i < RecordBatch::kPadding; ++i) {
      ASSERT_EQ(value.data()[value.size() + i], '\0');
    }
    payload += 'y';
  }
}

TEST(RecordBatch, KeepsItsBytesWhenItGrows) {
  RecordBatch records = batch();
  for (Offset offset = 10; offset < 2000; ++offset) {
    records.add_record(offset, offset, "k" + std::to_string(offset), "v" + std::to_string(offset));
    records.add_header("h", std::to_string(offset));
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RecordView record = records.record(i);
    const std::string number = std::to_string(record.offset);
    ASSERT_EQ(record.key, "k" + number);
    ASSERT_EQ(record.value, "v" + number);
    ASSERT_EQ(record.headers().next()->value, number);
  }
}

TEST(RecordBatch, MovesItsEndOverGapsAndNeverBack) {
  RecordBatch records = batch();
  records.extend_to(15);
  EXPECT_EQ(records.range(), (OffsetRange{10, 15}));
  records.add_record(20, 0, std::nullopt, "x");
  EXPECT_EQ(records.range(), (OffsetRange{10, 21}));
  records.extend_to(12);
  EXPECT_EQ(records.range(), (OffsetRange{10, 21}));
  EXPECT_EQ(records.size(), 1U);
}

TEST(RecordBatch, CountsEveryByteItHolds) {
  RecordBatch small = batch();
  RecordBatch large = RecordBatch(small.chain(), 0, 10'000, 100);
  EXPECT_GE(large.footprint_bytes(), small.footprint_bytes() + 10'000);
  const std::size_t before = large.footprint_bytes();
  for (Offset offset = 0; offset < 100; ++offset) large.add_record(offset, 0, "k", "12345");
  EXPECT_EQ(large.footprint_bytes(), before) << "what was reserved is used";
  EXPECT_EQ(large.used_bytes(), 600U);
}

}  // namespace
}  // namespace penstock
