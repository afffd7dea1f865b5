#include "compute/process_batch.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "compute/plan.h"
#include "compute/projection.h"
#include "parse/json_reader.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using namespace std::string_view_literals;

// A pipeline's worker over a small table, and batches to feed it.
class Processing : public testing::Test {
 protected:
  Processing() {
    add("id", ColumnType::int8, "bigint").not_null = true;
    add("name", ColumnType::text, "text");
    ColumnDescription& state = add("state", ColumnType::text, "text");
    state.has_default = true;
    state.not_null = true;
    options.topics = {"orders", "returns"};
    table.schema = "public";
    table.name = "t";
  }

  ColumnDescription& add(std::string name, ColumnType type, std::string type_name) {
    ColumnDescription& column = table.columns.emplace_back(column_of(type, std::move(type_name)));
    column.name = std::move(name);
    return column;
  }

  // Records as add() took them; offsets from 100.
  std::unique_ptr<RecordBatch> batch = std::make_unique<RecordBatch>(
      PartitionId{.topic = 1, .partition = 3}, Epoch{5}, Offset{100}, std::size_t{64});

  void record(std::optional<std::string_view> value, std::optional<std::string_view> key = {},
              std::int64_t timestamp_ms = -1) {
    batch->add_record(100 + static_cast<Offset>(batch->size()), timestamp_ms, key, value);
  }

  std::unique_ptr<RowBatch> process() {
    auto projection = Projection::compile(options, table);
    if (!projection) {
      for (const Problem& problem : projection.error()) {
        ADD_FAILURE() << problem.place << ": " << problem.message;
      }
      throw std::runtime_error("the projection does not compile");
    }
    const parse::FieldTree tree(projection->inputs());
    BatchProcessor<parse::JsonReader> processor(*projection, parse::JsonReader({}, tree));
    return processor.process(std::move(batch));
  }

  // The fields of a row, as bytes; "NULL" for NULL.
  static std::vector<std::string> fields(const RowBatch& rows, std::size_t row) {
    std::string_view tuple = rows.tables[0].tuple(row);
    const auto take = [&tuple]<typename T>(T) {
      T number{};
      std::memcpy(&number, tuple.data(), sizeof number);
      tuple.remove_prefix(sizeof number);
      return std::byteswap(number);
    };
    std::vector<std::string> values;
    for (int count = take(std::int16_t{}); count > 0; --count) {
      const int size = take(std::int32_t{});
      values.emplace_back(size < 0 ? "NULL" : tuple.substr(0, static_cast<std::size_t>(size)));
      if (size > 0) tuple.remove_prefix(static_cast<std::size_t>(size));
    }
    EXPECT_TRUE(tuple.empty());
    return values;
  }
  static std::string int8(std::int64_t number) {
    number = std::byteswap(number);
    return {reinterpret_cast<const char*>(&number), sizeof number};
  }

  TableDescription table;
  ComputeOptions options;
};

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
  expect(2, 3, Stage::parse, "number_out_of_range", "msg.id");
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

TEST_F(BatchProcessorTest, RejectsWhereThatFailsOrIsNoBool) {
  options.where = "msg.keep";
  record(R"({"id":1,"keep":true})");
  record(R"({"id":2,"keep":1})");
  record(R"({"id":3})");
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 1U);
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::compute);
  EXPECT_EQ(rows->rejects[0].reason, "wrong_type");
  EXPECT_TRUE(rows->rejects[0].message.starts_with("where: ")) << rows->rejects[0].message;
  EXPECT_TRUE(rows->rejects[1].message.starts_with("where: ")) << rows->rejects[1].message;
}

TEST_F(BatchProcessorTest, ComputesOnceWhatWhereLetsAndColumnsHaveInCommon) {
  options.where = "msg.name.lowerAscii() != 'skip'";
  options.let = {{"label", "msg.name.lowerAscii() + '!'"}};
  options.columns = {{"id", "msg.id"}, {"name", "label"}, {"state", "msg.name.lowerAscii()"}};
  record(R"({"id":1,"name":"ADA"})");
  record(R"({"id":2,"name":"Skip"})");
  record(R"({"id":3,"name":5})");
  const auto projection = Projection::compile(options, table);
  ASSERT_TRUE(projection.has_value());
  EXPECT_EQ(projection->plan().expressions.steps_for_where, 1U);
  EXPECT_EQ(projection->plan().expressions.steps.size(), 2U);  // what is shared, and the let
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(1), "ada!", "ada"}));
  EXPECT_EQ(rows->filtered, 1U);
  // It is named as what it was written as.
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_TRUE(rows->rejects[0].message.starts_with("where: ")) << rows->rejects[0].message;
}

TEST_F(BatchProcessorTest, RejectsWhatIsNotAsDeclaredBeforeAnythingIsEvaluated) {
  options.schema = {{"id", "int"}, {"name", "nullable(string)"}, {"other", "int"}};
  options.where = "msg.id > 1";
  record(R"({"id":"0"})");
  record(R"({"id":2.0,"name":null,"other":"nobody reads it"})");
  record(R"({"id":0})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(2), "NULL"}));
  EXPECT_EQ(rows->filtered, 1U);
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::parse);
  EXPECT_EQ(rows->rejects[0].reason, "wrong_type");
  EXPECT_EQ(rows->rejects[0].message,
            "msg.id is declared as int, and is \"0\", a value of type string");
}

TEST_F(BatchProcessorTest, RejectsARecordWhoseEvaluationTakesTooManySteps) {
  options.max_steps = 1'000;
  options.let = {{"n", "msg.l.map(a, msg.l.map(b, a * b).size()).size()"}};
  options.columns = {{"id", "n"}};
  std::string many = "[1";
  for (int i = 0; i < 100; ++i) many += ",1";
  record(R"({"l":[1,2,3]})");
  record("{\"l\":" + many + "]}");
  record(R"({"l":[1]})");
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 2U);
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].record, 1U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::compute);
  EXPECT_EQ(rows->rejects[0].reason, "limit_exceeded");
  EXPECT_TRUE(rows->rejects[0].message.starts_with("let \"n\": ")) << rows->rejects[0].message;
}

TEST_F(BatchProcessorTest, EvaluatesLetsAndNamesTheOneThatFails) {
  options.let = {{"half", "100 / int(msg.d)"}, {"label", "'n' + string(half)"}};
  options.columns = {{"id", "half"}, {"name", "label"}};
  record(R"({"d":4})");
  record(R"({"d":0})");
  record(R"({})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(25), "n25"}));
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::compute);
  EXPECT_EQ(rows->rejects[0].reason, "divide_by_zero");
  EXPECT_TRUE(rows->rejects[0].message.starts_with("let \"half\": ")) << rows->rejects[0].message;
  EXPECT_EQ(rows->rejects[1].reason, "no_such_field");
  EXPECT_TRUE(rows->rejects[1].message.contains("msg.d")) << rows->rejects[1].message;
}

TEST_F(BatchProcessorTest, DoesNotFailForALetThatNobodyLooksAt) {
  options.let = {{"half", "100 / int(msg.d)"}};
  options.columns = {{"id", "msg.d == 0 ? 0 : half"}};
  record(R"({"d":0})");
  record(R"({"d":2})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 2U);
  EXPECT_EQ(fields(*rows, 1)[0], int8(50));
}

TEST_F(BatchProcessorTest, PassesAMissingFieldThroughALetToTheColumnsDefault) {
  options.let = {{"s", "msg.state"}};
  options.columns = {{"id", "msg.id"}, {"state", "s"}};
  record(R"({"id":1})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0), std::vector<std::string>{int8(1)});
}

TEST_F(BatchProcessorTest, ShowsTheRecordToExpressions) {
  add("topic", ColumnType::text, "text");
  add("key", ColumnType::bytea, "bytea");
  add("at", ColumnType::timestamptz, "timestamptz");
  add("source", ColumnType::text, "text");
  add("partition", ColumnType::int4, "integer");
  options.columns = {{"id", "record.offset"},
                     {"topic", "record.topic"},
                     {"key", "record.key"},
                     {"at", "record.timestamp"},
                     {"source", "'source' in record.headers ? string(record.headers.source) : ''"},
                     {"partition", "record.partition"}};
  record("{}", "k\0y"sv, 946'684'800'123);
  batch->add_header("other", std::nullopt);
  batch->add_header("source", "first");
  batch->add_header("source", "shop");
  record("{}");
  const auto rows = process();
  for (const Reject& reject : rows->rejects) ADD_FAILURE() << reject.message;
  ASSERT_EQ(rows->row_count(), 2U);
  const auto first = fields(*rows, 0);
  EXPECT_EQ(first[0], int8(100));
  EXPECT_EQ(first[1], "returns");
  EXPECT_EQ(first[2], "k\0y"sv);
  EXPECT_EQ(first[3], int8(123'000));
  EXPECT_EQ(first[4], "shop");
  EXPECT_EQ(first[5], "\0\0\0\3"sv);
  const auto second = fields(*rows, 1);
  EXPECT_EQ(second[2], "NULL");
  EXPECT_EQ(second[3], "NULL");
  EXPECT_EQ(second[4], "");
}

TEST_F(BatchProcessorTest, ShowsTheWholeMessageBesideItsFields) {
  add("all", ColumnType::json, "json");
  options.columns = {{"id", "msg.id"}, {"all", "{'h': record.headers, 'm': msg}"}};
  record(R"({"id":1,"x":[1,"é"]})", "key");
  batch->add_header("n", std::nullopt);
  const auto rows = process();
  for (const Reject& reject : rows->rejects) ADD_FAILURE() << reject.message;
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0)[1], R"({"h":{"n":null},"m":{"id":1,"x":[1,"é"]}})");
}

TEST_F(BatchProcessorTest, RejectsOrSkipsTombstones) {
  record(std::nullopt, "key");
  auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::parse);
  EXPECT_EQ(rows->rejects[0].reason, "tombstone");
  batch = std::make_unique<RecordBatch>(PartitionId{}, Epoch{1}, Offset{0}, std::size_t{64});
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
  parse::Verdict read(std::string_view payload, cel::Arena&, std::span<cel::Value>) {
    if (payload == "throw") throw std::runtime_error("out of luck");
    return {};
  }
};

TEST_F(BatchProcessorTest, TurnsAnExceptionIntoARejectOfThatRecordOnly) {
  options.columns = {{"id", "record.offset"}};
  const auto projection = Projection::compile(options, table);
  ASSERT_TRUE(projection);
  BatchProcessor<ThrowingReader> processor(*projection, ThrowingReader{});
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
  const auto projection = Projection::compile(options, table);
  ASSERT_TRUE(projection);
  const parse::FieldTree tree(projection->inputs());
  BatchProcessor<parse::JsonReader> processor(*projection, parse::JsonReader({}, tree));
  for (int round = 0; round < 3; ++round) {
    auto next = std::make_unique<RecordBatch>(PartitionId{}, Epoch{1}, Offset{0}, std::size_t{64});
    for (int i = 0; i < 50; ++i) next->add_record(i, -1, {}, R"({"id":1,"name":"x","state":"y"})");
    const auto rows = processor.process(std::move(next));
    EXPECT_EQ(rows->row_count(), 50U);
    EXPECT_EQ(rows->tables[0].shapes.size(), 1U);
    EXPECT_EQ(rows->tables[0].runs.size(), 1U);
  }
}

}  // namespace
}  // namespace penstock::compute
