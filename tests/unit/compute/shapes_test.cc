// Records of another shape than the expressions expect: rejects, not rows of NULLs.
#include <gtest/gtest.h>

#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

class Shapes : public Processing {
 protected:
  Shapes() {
    table.columns.clear();
    add("id", ColumnType::int8, "bigint");
    add("v", ColumnType::text, "text");
  }

  // "row", or the reject's reason.
  std::string became(std::string_view document) {
    batch = std::make_unique<RecordBatch>(test::chain(), Offset{100}, std::size_t{64});
    record(document);
    const auto rows = process();
    message = rows->rejects.empty() ? "" : rows->rejects[0].message;
    stage = rows->rejects.empty() ? Stage::write : rows->rejects[0].stage;
    if (rows->rejects.empty()) return rows->row_count() == 1 ? "row" : "filtered";
    return std::string(rows->rejects[0].reason);
  }

  std::string message;
  Stage stage = Stage::write;
};

TEST_F(Shapes, RejectsADocumentThatIsNoObjectAlsoWhereAConditionOrAListIsAllThatReadsIt) {
  options.routes.front().columns = {{"id", "record.offset"}};
  options.where = "msg.ok";
  for (const std::string_view document : {"5", "null", R"([{"ok":true}])"}) {
    EXPECT_EQ(became(document), "not_an_object") << document;
    EXPECT_TRUE(message.starts_with("where: there is no msg.ok, because the document is"))
        << message;
    EXPECT_EQ(stage, Stage::parse);
  }
  EXPECT_EQ(became(R"({"x":1})"), "missing_field");
  options.where.clear();
  options.routes.front().for_each = "msg.a.l";
  EXPECT_EQ(became("[]"), "not_an_object");
  EXPECT_TRUE(message.starts_with("for_each: there is no msg.a.l, because the document is"))
      << message;
  EXPECT_EQ(became(R"({"a":[]})"), "wrong_type");
  EXPECT_TRUE(message.starts_with("for_each: there is no msg.a.l, because msg.a is")) << message;
}

TEST_F(Shapes, RejectsADocumentThatIsNoObject) {
  const std::map<std::string, std::string> ways[] = {
      {},
      {{"id", "msg.id"}, {"v", "msg.customer.name"}},
      {{"v", "msg.v.lowerAscii()"}},
      {{"id", "msg.?id"}, {"v", "msg.?v.orValue('')"}},
      {{"v", "has(msg.v) ? 'a' : 'b'"}}};
  for (const auto& columns : ways) {
    options.routes.front().columns = columns;
    for (const char* schema : {"", "int"}) {
      if (*schema != 0) options.schema = {{"id", schema}};
      for (const std::string_view document :
           {"5", "\"text\"", "null", "true", "[]", R"([{"id":1,"v":"a"}])"}) {
        EXPECT_EQ(became(document), "not_an_object") << document;
        EXPECT_EQ(stage, Stage::parse);
      }
    }
  }
}

TEST_F(Shapes, TakesAnyDocumentWhereItIsReadWholeOrNotAtAll) {
  add("doc", ColumnType::jsonb, "jsonb");
  options.routes.front().columns = {{"doc", "msg"}};
  EXPECT_EQ(became("[1]"), "row");
  options.routes.front().columns = {{"id", "record.offset"}};
  EXPECT_EQ(became("5"), "row");
  EXPECT_EQ(became("{}"), "row");
  options.routes.front().columns = {{"doc", "record.value"}, {"id", "msg.id"}};
  EXPECT_EQ(became("[1]"), "not_an_object");
}

TEST_F(Shapes, RejectsAPathThroughWhatIsNeitherAnObjectNorNull) {
  options.routes.front().columns = {{"id", "msg.id"}, {"v", "msg.customer.name"}};
  for (const std::string_view customer : {"\"bob\"", "[]", "7", "true", R"([{"name":"x"}])"}) {
    EXPECT_EQ(became("{\"id\":8,\"customer\":" + std::string(customer) + "}"), "wrong_type")
        << customer;
  }
  EXPECT_EQ(became(R"({"id":8,"customer":"bob"})"), "wrong_type");
  EXPECT_EQ(message,
            "column \"v\": there is no msg.customer.name, because msg.customer is a string, not an "
            "object");
  EXPECT_EQ(became(R"({"id":8,"customer":null})"), "row");
  EXPECT_EQ(became(R"({"id":8})"), "row");
  EXPECT_EQ(became(R"({"id":8,"customer":{}})"), "row");
  EXPECT_EQ(became(R"({"id":8,"customer":{"name":null}})"), "row");
  options.routes.front().columns = {{"id", "msg.id"}, {"v", "msg.customer.name + '!'"}};
  EXPECT_EQ(became(R"({"id":8,"customer":"bob"})"), "wrong_type");
  EXPECT_EQ(message,
            "column \"v\": no such field: msg.customer.name, because msg.customer is a "
            "string (at 1:19)");
  EXPECT_EQ(became(R"({"id":8,"customer":null})"), "no_such_field");
}

TEST_F(Shapes, RejectsARecordWithNoneOfTheFieldsAndNamesThoseItHas) {
  for (const std::string_view document :
       {R"({"schema":{},"payload":{"id":1}})", R"({"before":null,"after":{"id":1}})", "{}"}) {
    EXPECT_EQ(became(document), "missing_field") << document;
  }
  EXPECT_EQ(became(R"({"before":null,"after":{"id":1}})"), "missing_field");
  EXPECT_EQ(message,
            "the record has none of the fields that are read, msg.id, msg.v; it has "
            "before, after");
  EXPECT_EQ(became(R"({"ID":1,"V":"a"})"), "missing_field");
  EXPECT_TRUE(message.contains("did you mean 'ID'?")) << message;
  EXPECT_EQ(became(R"({"id":null})"), "row");
  EXPECT_EQ(became(R"({"v":"a"})"), "row");
  options.schema = {{"id", "int"}};
  EXPECT_EQ(became(R"({"after":{"id":1}})"), "missing_field");
  options.schema = {};
  options.routes.front().columns = {{"id", "msg.payload.id"}};
  EXPECT_EQ(became(R"({"payload":null})"), "missing_field");
  EXPECT_EQ(became(R"({"payload":{"id":1}})"), "row");
  EXPECT_EQ(became(R"({"payload":"text"})"), "wrong_type");
  EXPECT_EQ(became(R"({"payload":[1]})"), "wrong_type");
}

TEST_F(Shapes, AreTheSameOfFieldsThatComeByWayOfALet) {
  options.let = {{"i", "msg.id"}, {"c", "msg.customer.name"}, {"again", "c"}};
  options.routes.front().columns = {{"id", "i"}, {"v", "again"}};
  EXPECT_EQ(became(R"({"ID":1})"), "missing_field");
  EXPECT_TRUE(message.contains("msg.customer.name, msg.id")) << message;
  EXPECT_EQ(became(R"({"id":1})"), "row");
  EXPECT_EQ(became("5"), "not_an_object");
  EXPECT_EQ(message,
            "column \"id\": there is no msg.id, because the document is a number, not an "
            "object");
  EXPECT_EQ(became(R"({"id":1,"customer":"bob"})"), "wrong_type");
  EXPECT_EQ(message,
            "column \"v\": there is no msg.customer.name, because msg.customer is a string, not an "
            "object");
  options.where = "again";
  EXPECT_EQ(became(R"({"id":1,"customer":"bob"})"), "wrong_type");
  EXPECT_EQ(became(R"({"id":1})"), "missing_field");
  EXPECT_TRUE(message.starts_with("where: there is no msg.customer.name")) << message;
  options.where.clear();
  options.routes.front().for_each = "again";
  options.routes.front().columns = {{"id", "i"}};
  EXPECT_EQ(became(R"({"id":1,"customer":"bob"})"), "wrong_type");
  EXPECT_TRUE(message.starts_with("for_each: there is no msg.customer.name, because msg.customer"))
      << message;
}

TEST_F(Shapes, LetsExpressionsSayThatFieldsMayBeMissing) {
  options.routes.front().columns = {{"id", "record.offset"}, {"v", "msg.?v"}};
  EXPECT_EQ(became("{}"), "row");
  options.routes.front().columns = {{"id", "msg.?id.orValue(0)"}, {"v", "msg.?v.orValue('none')"}};
  EXPECT_EQ(became(R"({"other":1})"), "row");
  options.where = "!has(msg.deleted)";
  EXPECT_EQ(became(R"({"other":1})"), "row");
  options.routes.front().columns = {{"id", "msg.id"}};
  EXPECT_EQ(became(R"({"other":1})"), "missing_field");
  options.where = "msg.kind == 'a'";
  EXPECT_EQ(became(R"({"kind":"a"})"), "row") << "one of the fields that are read is there";
}

TEST_F(Shapes, NamesWhatIsThereWhenANotNullColumnsFieldIsNot) {
  table.columns[0].not_null = true;
  EXPECT_EQ(became(R"({"Id":1,"v":"a"})"), "missing_field");
  EXPECT_EQ(message,
            "column \"id\" is NOT NULL without a default, and there is no msg.id; it has "
            "Id, v (hint: for id, did you mean 'Id'? Capitals count)");
}

TEST_F(Shapes, NamesTheFieldsOfTheObjectThatLacksOne) {
  table.columns[1].not_null = true;
  options.routes.front().columns = {{"id", "msg.id"}, {"v", "msg.customer.name"}};
  EXPECT_EQ(became(R"({"id":1,"customer":{"nme":"a","city":"b"}})"), "missing_field");
  EXPECT_EQ(message,
            "column \"v\" is NOT NULL without a default, and there is no msg.customer.name; "
            "msg.customer has nme, city (hint: for name, did you mean 'nme'? Capitals count)");
  EXPECT_EQ(became(R"({"id":1,"custmer":{"name":"a"}})"), "missing_field");
  EXPECT_EQ(message,
            "column \"v\" is NOT NULL without a default, and there is no msg.customer.name; it has "
            "id, custmer (hint: for customer, did you mean 'custmer'? Capitals count)");
  options.routes.front().columns = {{"id", "msg.customer.id"}, {"v", "msg.customer.name"}};
  EXPECT_EQ(became(R"({"customer":{"nme":"a"}})"), "missing_field");
  EXPECT_TRUE(message.contains("; msg.customer has nme (hint: for name, ")) << message;
}

TEST_F(Shapes, LetsOptionalPathsGetPastNull) {
  options.routes.front().columns = {{"v", "msg.?customer.?address.?city.orValue('unknown')"}};
  for (const std::string_view document :
       {"{}", R"({"customer":null})", R"({"customer":{"address":null}})",
        R"({"customer":{"address":{}}})"}) {
    EXPECT_EQ(became(document), "row") << document << message;
  }
  EXPECT_EQ(became(R"({"customer":"bob"})"), "no_such_overload");
  options.routes.front().columns = {{"v", "coalesce(msg.customer.address.city, 'unknown')"}};
  for (const std::string_view document :
       {"{}", R"({"customer":null})", R"({"customer":{"address":null}})",
        R"({"customer":{"address":{"city":null}}})"}) {
    EXPECT_EQ(became(document), "row") << document << message;
  }
  options.schema = {{"v", "nullable(string)"}, {"id", "nullable(int)"}};
  options.routes.front().columns = {{"v", "coalesce(msg.v, 'none')"},
                                    {"id", "coalesce(msg.id, 7) + 1"}};
  EXPECT_EQ(became(R"({"v":null,"id":null})"), "row") << message;
  EXPECT_EQ(became("{}"), "row") << message;
  options.schema = {};
  options.routes.front().columns = {{"v", "msg.customer.?name.orValue('unknown')"}};
  EXPECT_EQ(became(R"({"customer":null})"), "row");
  EXPECT_EQ(became(R"({"customer":5})"), "wrong_type");
}

TEST_F(Shapes, TakeTheDefaultForNullInTheWayThatTheDeadLetterNames) {
  table.columns[0].not_null = true;
  table.columns[0].has_default = true;
  EXPECT_EQ(became(R"({"id":null,"v":"a"})"), "not_null");
  EXPECT_TRUE(message.contains("(hint: coalesce(..., optional.none()) takes the DEFAULT then)"))
      << message;
  options.routes.front().columns = {{"id", "coalesce(msg.id, optional.none())"}, {"v", "msg.v"}};
  for (const char* document : {R"({"id":null,"v":"a"})", R"({"v":"a"})", R"({"id":1,"v":"a"})"}) {
    EXPECT_EQ(became(document), "row") << document << message;
  }
}

TEST_F(Shapes, BlamesTheExpressionThatFailedForThisRecord) {
  options.where = "msg.amount > 0";
  options.let = {{"total", "msg.quantity * msg.unit_price"}};
  options.routes.front().columns = {{"id", "total"}};
  record(R"({"id":1,"amount":1,"quantity":1.5,"unit_price":2})");
  record(R"({"id":2,"quantity":1,"unit_price":2})");
  record(R"({"id":3,"amount":"x"})");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 3U);
  EXPECT_TRUE(rows->rejects[0].message.starts_with("let \"total\": ")) << rows->rejects[0].message;
  EXPECT_TRUE(rows->rejects[1].message.starts_with("where: ")) << rows->rejects[1].message;
  EXPECT_TRUE(rows->rejects[2].message.starts_with("where: ")) << rows->rejects[2].message;
}

TEST_F(Shapes, WritesWhatAConstantDefaultComesToSoThatAllRowsAreOfOneShape) {
  using namespace std::string_view_literals;
  ColumnDescription& column = add("state", ColumnType::text, "text");
  column.has_default = column.not_null = true;
  column.default_field = "\0\0\0\3new"sv;
  record(R"({"id":1,"v":"a","state":"old"})");
  record(R"({"id":2})");
  record(R"({"id":3,"state":null})");
  const auto rows = process();
  ASSERT_EQ(rows->row_count(), 2U);
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].reason, "not_null") << "null is a value";
  EXPECT_EQ(rows->tables[0].shapes.size(), 1U);
  EXPECT_EQ(fields(*rows, 0), (std::vector<std::string>{int8(1), "a", "old"}));
  EXPECT_EQ(fields(*rows, 1), (std::vector<std::string>{int8(2), "NULL", "new"}));
}

TEST_F(Shapes, RejectsARecordThatGivesNoColumnAValueThoughDefaultsAreKnown) {
  using namespace std::string_view_literals;
  table.columns.clear();
  ColumnDescription& column = add("state", ColumnType::text, "text");
  column.has_default = true;
  column.default_field = "\0\0\0\3new"sv;
  options.routes.front().columns = {
      {"state", "msg.state == 'old' ? optional.of('new') : optional.none()"}};
  EXPECT_EQ(became(R"({"state":"old"})"), "row");
  EXPECT_EQ(became(R"({"state":"gone"})"), "missing_field");
}

}  // namespace
}  // namespace penstock::compute
