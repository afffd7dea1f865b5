// What of a document reaches the columns as it was written, and what only harms who reads it.
#include <gtest/gtest.h>

#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

using namespace std::string_view_literals;

class DocumentValues : public Processing {
 protected:
  DocumentValues() { table.columns.clear(); }

  // The only row's fields; a reject's reason and message in the place of a row.
  std::vector<std::string> row() {
    auto rows = process();
    batch = std::make_unique<RecordBatch>(test::chain(), Offset{100}, std::size_t{64});
    if (rows->rejects.size() == 1) return {rows->rejects[0].reason, rows->rejects[0].message};
    if (rows->row_count() != 1) return {"filtered"};
    return fields(*rows, 0);
  }
};

using Row = std::vector<std::string>;

TEST_F(DocumentValues, PutsADocumentIntoJsonAsItWasWritten) {
  add("doc", ColumnType::json, "json");
  add("part", ColumnType::jsonb, "jsonb");
  options.routes.front().columns = {{"doc", "msg"}, {"part", "msg.a"}};
  record(R"({ "a" : {"n": 1.10, "n":1E400} ,"b":"\u0061\ud800" })");
  EXPECT_EQ(row(), (Row{R"({ "a" : {"n": 1.10, "n":1E400} ,"b":"\u0061\ud800" })",
                        "\x01{\"n\": 1.10, \"n\":1E400}"}));
  record(R"({"a":null})");
  EXPECT_EQ(row(), (Row{R"({"a":null})", "NULL"}));
  record(R"({"a":[]})");
  EXPECT_EQ(row()[1], "\x01[]");
}

TEST_F(DocumentValues, ReadsADeclaredFieldAlsoOnItsWayIntoJson) {
  add("doc", ColumnType::jsonb, "jsonb");
  options.routes.front().columns = {{"doc", "msg.a"}};
  options.schema = {{"a", "double"}};
  record(R"({"a":1.10})");
  EXPECT_EQ(row(), (Row{"\x01"
                        "1.10"}));
  record(R"({"a":"x"})");
  EXPECT_EQ(row()[0], "wrong_type");
}

TEST_F(DocumentValues, KeepsTheTextOfANumberThatIsOnlyMoved) {
  add("doc", ColumnType::json, "json");
  record(R"({"a":1.10,"b":[1.0,2],"wei":327267367867168100000,"n":null})");
  options.routes.front().columns = {
      {"doc", "{'x': msg.a, 'y': msg.n == null ? msg.b : [], 'z': msg.?wei, 'w': [msg.a * 2.0]}"}};
  EXPECT_EQ(row(), (Row{R"({"x":1.10,"y":[1.0,2],"z":327267367867168100000,"w":[2.2]})"}));
}

TEST_F(DocumentValues, CutsOffWhatANumberSaysAndNotTheDoubleThatItBecame) {
  add("v", ColumnType::text, "text");
  const auto cut = [&](const std::string& expression, const std::string& number) {
    options.routes.front().columns = {{"v", "string(" + expression + "(msg.n))"}};
    record(R"({"n":)" + number + "}");
    return row()[0];
  };
  EXPECT_EQ(cut("int", "9007199254740993.0"), "9007199254740993");
  EXPECT_EQ(cut("int", "-9007199254740993e0"), "-9007199254740993");
  EXPECT_EQ(cut("int", "123456789012345678.9"), "123456789012345678");
  EXPECT_EQ(cut("int", "4503599627370497.5"), "4503599627370497");
  EXPECT_EQ(cut("int", "9223372036854775807.5"), "9223372036854775807");
  EXPECT_EQ(cut("int", "-0.9"), "0");
  EXPECT_EQ(cut("int", "9223372036854775808.5"), "out_of_range");
  EXPECT_EQ(cut("int", "99999999999999999999999.5"), "out_of_range");
  EXPECT_EQ(cut("uint", "18446744073709551615.9"), "18446744073709551615");
  EXPECT_EQ(cut("uint", "-0.9"), "0");
  EXPECT_EQ(cut("uint", "-1.5"), "out_of_range");
}

TEST_F(DocumentValues, PutsANumbersDigitsIntoTextByJsonEncode) {
  add("v", ColumnType::text, "text");
  options.routes.front().columns = {{"v", "json.encode(msg.v)"}};
  for (const std::string text : {"9007199254740993.0", "327267367867168100000", "1e400", "1.10",
                                 R"({"a":1.10,"b":[null,"x"]})", "true", "null"}) {
    record("{\"v\":" + text + "}");
    EXPECT_EQ(row(), (Row{text}));
  }
  record("{}");
  EXPECT_EQ(row()[0], "no_such_field");
}

TEST_F(DocumentValues, LetsANumberThatNoTypeHoldsHarmOnlyWhoReadsIt) {
  add("id", ColumnType::int8, "bigint");
  add("wei", ColumnType::text, "text");
  options.routes.front().columns = {{"id", "msg.id"},
                                    {"wei", "msg.kind == 'x' ? string(msg.wei + 1) : 'none'"}};
  record(R"({"id":1,"kind":"y","wei":327267367867168100000,"unread":1e999})");
  EXPECT_EQ(row(), (Row{int8(1), "none"}));
  record(R"({"id":1,"kind":"x","wei":327267367867168100000})");
  EXPECT_EQ(row(),
            (Row{"number_out_of_range",
                 "column \"wei\": the number 327267367867168100000 of msg.wei does not fit 64 "
                 "bits (at 1:34)"}));
}

TEST_F(DocumentValues, LetsHalfASurrogatePairHarmOnlyWhoReadsIt) {
  add("id", ColumnType::int8, "bigint");
  record(R"({"id":1,"bio":"cut \ud83d","\ud800":2})");
  options.routes.front().columns = {{"id", "msg.id"}};
  EXPECT_EQ(row(), (Row{int8(1)}));
  record(R"({"id":1,"bio":"cut \ud83d","\ud800":2})");
  options.routes.front().columns = {{"id", "msg.bio.size()"}};
  EXPECT_EQ(row()[0], "lone_surrogate");
}

TEST_F(DocumentValues, GivesThePayloadAsItCame) {
  add("raw", ColumnType::bytea, "bytea");
  add("note", ColumnType::text, "text");
  add("doc", ColumnType::json, "json");
  options.routes.front().columns = {
      {"raw", "record.value"}, {"note", "record.value"}, {"doc", "record.value"}};
  record("\xEF\xBB\xBF{\"a\" : 1.10}\n");
  EXPECT_EQ(row(), (Row{"\xEF\xBB\xBF{\"a\" : 1.10}\n", "\xEF\xBB\xBF{\"a\" : 1.10}\n",
                        "{\"a\" : 1.10}\n"}));
  record("[1e400]");
  EXPECT_EQ(row()[2], "[1e400]");
  record("{");
  EXPECT_EQ(row()[0], "truncated_json");
}

TEST_F(DocumentValues, RefusesATimestampOfKafkasThatNoCalendarHasWhereItIsRead) {
  add("id", ColumnType::int8, "bigint");
  record(R"({"id":1})", {}, 1'700'000'000'000'000);
  options.routes.front().columns = {{"id", "record.timestamp.getFullYear()"}};
  EXPECT_EQ(row()[0], "out_of_range");
  record(R"({"id":1})", {}, INT64_MAX);
  options.routes.front().columns = {{"id", "msg.id"}};
  EXPECT_EQ(row(), (Row{int8(1)}));
  add("at", ColumnType::timestamptz, "timestamptz");
  record(R"({"id":1})", {}, INT64_MAX);
  options.routes.front().columns = {{"id", "msg.id"}, {"at", "record.timestamp"}};
  EXPECT_EQ(row(), (Row{"out_of_range",
                        "column \"at\": record.timestamp is 9223372036854775807 ms, which is not "
                        "between the years 1 and 9999"}));
}

}  // namespace
}  // namespace penstock::compute
