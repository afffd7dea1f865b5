#include "compute/process_batch.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

using BatchProcessorTest = Processing;

TEST_F(BatchProcessorTest, MakesOneRowOfEveryGoodRecord) {
  record(R"({"id":1,"name":"a","state":"new"})");
  record(R"({"id":2,"name":null,"state":"old"})");
  const auto rows = process();
  ASSERT_EQ(rows->tables.size(), 1U);
  ASSERT_EQ(rows->row_count(), 2U);
  EXPECT_TRUE(rows->rejects.empty());
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(1), "a", "new"}));
  EXPECT_EQ(fields(*rows, 1), (std::vector<std::string>{int8(2), "NULL", "old"}));
  EXPECT_EQ(rows->tables[0].rows[1].record, 1U);
  EXPECT_EQ(rows->tables[0].shapes, (std::vector<RowShape>{{{0, 1, 2}}}));
  EXPECT_EQ(rows->range(), (OffsetRange{100, 102}));
}

TEST_F(BatchProcessorTest, LeavesOutAColumnWithADefaultWhenItsFieldIsMissing) {
  record(R"({"id":1,"name":"a"})");
  record(R"({"id":2,"state":"new"})");
  record(R"({"id":3})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 3U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(1), "a"}));
  // A column whose default is NULL is set to NULL: the rows keep one shape.
  EXPECT_EQ(fields(*rows, 1), (std::vector<std::string>{int8(2), "NULL", "new"}));
  EXPECT_EQ(fields(*rows, 2), (std::vector<std::string>{int8(3), "NULL"}));
  const TableRows& table_rows = rows->tables[0];
  EXPECT_EQ(table_rows.shapes, (std::vector<RowShape>{{{0, 1}}, {{0, 1, 2}}}));
  ASSERT_EQ(table_rows.runs.size(), 3U);
  EXPECT_EQ(table_rows.runs[1].first_row, 1U);
  EXPECT_EQ(table_rows.runs[1].shape, 1U);
  EXPECT_EQ(table_rows.runs[2].first_row, 2U);
  EXPECT_EQ(table_rows.runs[2].shape, 0U);
}

TEST_F(BatchProcessorTest, RejectsARecordThatLacksWhatTheTableNeeds) {
  record(R"({"name":"a"})");
  record(R"({"id":null})");
  record(R"({"id":1,"state":null})");
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 0U);
  EXPECT_TRUE(rows->tables.empty());
  ASSERT_EQ(rows->rejects.size(), 3U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::encode);
  EXPECT_EQ(rows->rejects[0].reason, "missing_field");
  EXPECT_TRUE(rows->rejects[0].message.contains("column \"id\"")) << rows->rejects[0].message;
  EXPECT_EQ(rows->rejects[1].reason, "not_null");
  EXPECT_EQ(rows->rejects[2].reason, "not_null");
}

TEST_F(BatchProcessorTest, RejectsBadRecordsAndKeepsTheirNeighbours) {
  record(R"({"id":1})");
  record(R"({"id":)");
  record(R"({"id":"one"})");
  record(R"({"id":99999999999999999999})");
  record(R"({"id":5,"name":"nul\u0000"})");
  record(R"({"id":6})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 2U);
  EXPECT_EQ(fields(*rows, 0)[0], int8(1));
  EXPECT_EQ(fields(*rows, 1)[0], int8(6));
  EXPECT_EQ(rows->tables[0].rows[1].record, 5U);
  ASSERT_EQ(rows->rejects.size(), 4U);
  const auto expect = [&rows](std::size_t i, std::uint32_t index, Stage stage,
                              std::string_view reason, std::string_view part) {
    EXPECT_EQ(rows->rejects[i].record, index);
    EXPECT_EQ(rows->rejects[i].stage, stage);
    EXPECT_EQ(rows->rejects[i].reason, reason);
    EXPECT_TRUE(rows->rejects[i].message.contains(part)) << rows->rejects[i].message;
  };
  expect(0, 1, Stage::parse, "truncated_json", "byte 6");
  expect(1, 2, Stage::encode, "wrong_type", "the value is \"one\"");
  expect(2, 3, Stage::encode, "out_of_range", "column \"id\"");
  expect(3, 4, Stage::encode, "nul_in_text", "column \"name\"");
}

TEST_F(BatchProcessorTest, AccountsForEveryRecord) {
  options.where = "msg.id > 2";
  for (int i = 0; i < 5; ++i) record("{\"id\":" + std::to_string(i) + "}");
  record("nonsense");
  record(std::nullopt);
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 2U);
  EXPECT_EQ(rows->filtered, 3U);
  EXPECT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->source->size(), 7U);
}

TEST_F(BatchProcessorTest, CutsABatchThatBecomesTooManyBytesAndLeavesTheRestForLater) {
  for (int i = 0; i < 5; ++i) record(R"({"id":1,"name":"twelve bytes"})");
  batch->extend_to(110);
  const auto whole = batch->range();
  auto rows = process(/*most_bytes=*/1);
  EXPECT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(rows->range(), (OffsetRange{100, 101}));
  ASSERT_NE(rows->rest, nullptr);
  EXPECT_EQ(rows->rest->range(), (OffsetRange{101, whole.to}));
  EXPECT_EQ(rows->rest->size(), 4U);
  EXPECT_EQ(rows->rest->record(3).value, R"({"id":1,"name":"twelve bytes"})");

  batch = std::move(rows->rest);
  rows = process();
  EXPECT_EQ(rows->row_count(), 4U);
  EXPECT_EQ(rows->rest, nullptr);
}

TEST_F(BatchProcessorTest, RejectsOrSkipsTombstones) {
  record(std::nullopt, "key");
  auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::parse);
  EXPECT_EQ(rows->rejects[0].reason, "tombstone");
  batch = std::make_unique<RecordBatch>(test::chain(), Offset{0}, std::size_t{64});
  record(std::nullopt, "key");
  options.tombstones = Tombstones::skip;
  rows = process();
  EXPECT_TRUE(rows->rejects.empty());
  EXPECT_EQ(rows->filtered, 1U);
}

TEST_F(BatchProcessorTest, TellsAnEmptyPayloadFromATombstone) {
  record("");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].reason, "empty_payload");
}

TEST_F(BatchProcessorTest, RejectsARecordThatSetsNoColumnAtAll) {
  table.columns.erase(table.columns.begin(), table.columns.begin() + 2);
  record("{}");
  record(R"({"state":"x"})");
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 1U);
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].reason, "missing_field");
}

TEST_F(BatchProcessorTest, ShortensLongValuesInMessages) {
  record("{\"id\":\"" + std::string(100'000, 'x') + "\"}");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_LT(rows->rejects[0].message.size(), 400U);
  EXPECT_TRUE(rows->rejects[0].message.contains("…"));
}

TEST_F(BatchProcessorTest, TakesAnEmptyBatch) {
  batch->extend_to(200);
  const auto rows = process();
  EXPECT_TRUE(rows->tables.empty());
  EXPECT_EQ(rows->range(), (OffsetRange{100, 200}));
}

TEST_F(BatchProcessorTest, KeepsManyShapesApart) {
  for (int i = 0; i < 6; ++i) {
    add("c" + std::to_string(i), ColumnType::int8, "bigint").has_default = true;
  }
  for (int i = 0; i < 300; ++i) {
    std::string document = "{\"id\":" + std::to_string(i);
    for (int bit = 0; bit < 6; ++bit) {
      if ((i >> bit & 1) != 0)
        document += ",\"c" + std::to_string(bit) + "\":" + std::to_string(bit);
    }
    record(document + "}");
  }
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 300U);
  const TableRows& table_rows = rows->tables[0];
  EXPECT_EQ(table_rows.shapes.size(), 64U);
  std::size_t run = 0;
  for (std::size_t row = 0; row < 300; ++row) {
    while (run + 1 < table_rows.runs.size() && table_rows.runs[run + 1].first_row <= row) ++run;
    const RowShape& shape = table_rows.shapes[table_rows.runs[run].shape];
    EXPECT_EQ(fields(*rows, row).size(), shape.columns.size());
    EXPECT_EQ(std::popcount(row & 63U) + 2, static_cast<int>(shape.columns.size()));
  }
}

// A format whose reader throws: a bug in a parser, or no memory for one record.
struct ThrowingReader {
  formats::Verdict read(std::string_view payload, cel::Arena&, std::span<cel::Value>) {
    if (payload == "throw") throw std::runtime_error("out of luck");
    return {};
  }
  static std::vector<std::string> field_names(std::string_view, std::span<const std::string>) {
    return {};
  }
};

TEST_F(BatchProcessorTest, TurnsAnExceptionIntoARejectOfThatRecordOnly) {
  options.routes.front().columns = {{"id", "record.offset"}};
  const auto projection = Projection::compile(options, {&table, 1});
  ASSERT_TRUE(projection);
  const Target target{.table = table};
  BatchProcessor<ThrowingReader> processor(*projection, {&target, 1}, ThrowingReader{});
  record("a");
  record("throw");
  record("b");
  const auto rows = processor.process(std::move(batch));
  EXPECT_EQ(rows->row_count(), 2U);
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].record, 1U);
  EXPECT_EQ(rows->rejects[0].reason, "internal_error");
  EXPECT_TRUE(rows->rejects[0].message.contains("out of luck"));
}

TEST_F(BatchProcessorTest, ProcessesOneBatchAfterTheOther) {
  const auto projection = Projection::compile(options, {&table, 1});
  ASSERT_TRUE(projection);
  const formats::FieldTree tree(projection->inputs());
  const Target target{.table = table};
  BatchProcessor<formats::JsonReader> processor(*projection, {&target, 1},
                                                formats::JsonReader({}, tree));
  for (int round = 0; round < 3; ++round) {
    auto next = std::make_unique<RecordBatch>(test::chain(), Offset{0}, std::size_t{64});
    for (int i = 0; i < 50; ++i) next->add_record(i, -1, {}, R"({"id":1,"name":"x","state":"y"})");
    const auto rows = processor.process(std::move(next));
    EXPECT_EQ(rows->row_count(), 50U);
    EXPECT_EQ(rows->tables[0].shapes.size(), 1U);
    EXPECT_EQ(rows->tables[0].runs.size(), 1U);
  }
}

}  // namespace
}  // namespace penstock::compute
