// What where, lets and columns make of records, schema and limits included.
#include <gtest/gtest.h>

#include "compute/plan.h"
#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

using namespace std::string_view_literals;
using Expressions = Processing;

TEST_F(Expressions, RejectsWhereThatFailsOrIsNoBool) {
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

TEST_F(Expressions, ComputesOnceWhatWhereLetsAndColumnsHaveInCommon) {
  options.where = "msg.name.lowerAscii() != 'skip'";
  options.let = {{"label", "msg.name.lowerAscii() + '!'"}};
  options.routes.front().columns = {
      {"id", "msg.id"}, {"name", "label"}, {"state", "msg.name.lowerAscii()"}};
  record(R"({"id":1,"name":"ADA"})");
  record(R"({"id":2,"name":"Skip"})");
  record(R"({"id":3,"name":5})");
  const auto projection = Projection::compile(options, {&table, 1});
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

TEST_F(Expressions, SaysOfWhatIsComputedOnceWhatItsAuthorHasWritten) {
  options.where = "json.parse( msg.name ).size() > 0";
  options.routes.front().columns = {{"id", "msg.id + (json.parse((msg.state + '')).size())"},
                                    {"name", "string(json.parse(msg.name).first)"},
                                    {"state", "string(json.parse((msg.state+'')).second)"}};
  record(R"({"id":1,"name":"[5]","state":"{\"second\":7}"})");
  record(R"({"id":1,"name":"{\"first\":7}","state":"[5]"})");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].message,
            "column \"name\": no such field: first, json.parse( msg.name ) is list (at 1:29)");
  EXPECT_TRUE(rows->rejects[1].message.contains("json.parse((msg.state + '')) is list"))
      << rows->rejects[1].message;
}

TEST_F(Expressions, RejectsWhatIsNotAsDeclaredBeforeAnythingIsEvaluated) {
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

TEST_F(Expressions, RejectsARecordWhoseEvaluationTakesTooManySteps) {
  options.max_steps = 1'000;
  options.let = {{"n", "msg.l.map(a, msg.l.map(b, a * b).size()).size()"}};
  options.routes.front().columns = {{"id", "n"}};
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

// A record whose expression makes `copies` copies of a text of so many bytes.
std::string copied(std::size_t bytes, int copies) {
  std::string list = "[0";
  for (int i = 1; i < copies; ++i) list += "," + std::to_string(i);
  return "{\"l\":" + list + "],\"t\":\"" + std::string(bytes, 'x') + "\"}";
}

TEST_F(Expressions, AreBoundInMemoryByTheKindOfRecord) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  options.memory_bytes = 60 * kMiB;
  options.routes.front().columns = {{"id", "msg.l.map(i, msg.t + string(i)).size()"}};
  record(copied(kMiB / 2, 40));      // 20 MiB
  record(copied(kMiB / 2, 80));      // 40 MiB: too much beside the other workers' records
  record(copied(kMiB * 5 / 4, 32));  // 40 MiB of a large one
  record(copied(kMiB * 5 / 4, 64));  // 80 MiB, more than its pipeline has
  record(copied(10, 3));
  const auto rows = process();
  EXPECT_EQ(rows->row_count(), 3U);
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].record, 1U);
  EXPECT_EQ(rows->rejects[0].reason, "limit_exceeded");
  EXPECT_EQ(rows->rejects[1].record, 3U);
  EXPECT_EQ(rows->rejects[1].reason, "limit_exceeded");
}

// Whatever a broker takes by default can be read, at the side of other records: these take most.
TEST_F(Expressions, HaveRoomForEveryRecordOfAMegabyte) {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  options.routes.front().columns = {{"id", "msg.a.size()"}};
  for (const std::string_view item : {R"({"a":1},)", "[],", "{},", "1,", R"("",)", "[[]],"}) {
    std::string document = R"({"a":[)";
    while (document.size() + item.size() + 10 < kBytes) document += item;
    record(document + "1]}");
  }
  const auto rows = process();
  for (const Reject& reject : rows->rejects) {
    ADD_FAILURE() << reject.record << " " << reject.reason << " " << reject.message;
  }
}

TEST_F(Expressions, EvaluatesLetsAndNamesTheOneThatFails) {
  options.let = {{"half", "100 / int(msg.d)"}, {"label", "'n' + string(half)"}};
  options.routes.front().columns = {{"id", "half"}, {"name", "label"}};
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

TEST_F(Expressions, DoesNotFailForALetThatNobodyLooksAt) {
  options.let = {{"half", "100 / int(msg.d)"}};
  options.routes.front().columns = {{"id", "msg.d == 0 ? 0 : half"}};
  record(R"({"d":0})");
  record(R"({"d":2})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 2U);
  EXPECT_EQ(fields(*rows, 1)[0], int8(50));
}

TEST_F(Expressions, PassesAMissingFieldThroughALetToTheColumnsDefault) {
  options.let = {{"s", "msg.state"}};
  options.routes.front().columns = {{"id", "msg.id"}, {"state", "s"}};
  record(R"({"id":1})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0), std::vector<std::string>{int8(1)});
}

TEST_F(Expressions, ShowsTheRecordToExpressions) {
  add("topic", ColumnType::text, "text");
  add("key", ColumnType::bytea, "bytea");
  add("at", ColumnType::timestamptz, "timestamptz");
  add("source", ColumnType::text, "text");
  add("partition", ColumnType::int4, "integer");
  options.routes.front().columns = {
      {"id", "record.offset"},
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

TEST_F(Expressions, AHeaderWhoseNameIsNoTextHarmsOnlyWhoReadsHeaders) {
  add("source", ColumnType::text, "text");
  options.routes.front().columns = {
      {"id", "msg.id"}, {"source", "msg.id == 1 ? string(record.headers.source) : 'none'"}};
  for (const std::string_view payload : {R"({"id":1})", R"({"id":2})"}) {
    record(payload);
    batch->add_header("source", "shop");
    batch->add_header("caf\xe9", "x");
  }
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].record, 0U);
  EXPECT_EQ(rows->rejects[0].stage, Stage::compute);
  EXPECT_EQ(rows->rejects[0].reason, "invalid_argument");
  EXPECT_TRUE(rows->rejects[0].message.contains(
      "record.headers: the name of header 2 is not text in UTF-8"))
      << rows->rejects[0].message;
  EXPECT_EQ(rows->row_count(), 1U);
}

TEST_F(Expressions, ReadAFieldWhoseNameIsEmpty) {
  options.schema = {{"``", "int"}};
  options.routes.front().columns = {{"id", R"(msg[""])"},
                                    {"name", R"(msg.o[""])"},
                                    {"state", R"(msg["o"][?""].orValue("") + "!")"}};
  record(R"({"":1,"o":{"":"a"}})");
  record(R"({"":2,"o":{}})");
  record(R"({"":"text","o":{}})");
  record(R"({"o":{"":"a"}})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 2U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(1), "a", "a!"}));
  EXPECT_EQ(fields(*rows, 1), (std::vector<std::string>{int8(2), "NULL", "!"}));
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_TRUE(rows->rejects[0].message.contains(R"(msg[""])")) << rows->rejects[0].message;
  EXPECT_TRUE(rows->rejects[1].message.contains(R"(there is no msg[""]; it has o)"))
      << rows->rejects[1].message;
}

TEST_F(Expressions, ShowsTheWholeMessageBesideItsFields) {
  add("all", ColumnType::json, "json");
  options.routes.front().columns = {{"id", "msg.id"}, {"all", "{'h': record.headers, 'm': msg}"}};
  record(R"({"id":1,"x":[1,"é"]})", "key");
  batch->add_header("n", std::nullopt);
  const auto rows = process();
  for (const Reject& reject : rows->rejects) ADD_FAILURE() << reject.message;
  ASSERT_EQ(rows->row_count(), 1U);
  EXPECT_EQ(fields(*rows, 0)[1], R"({"h":{"n":null},"m":{"id":1,"x":[1,"é"]}})");
}

}  // namespace
}  // namespace penstock::compute
