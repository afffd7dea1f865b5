// What stands in a record arrives in the table as it was written, as PostgreSQL itself would read
// it, or not at all; and a record of another shape is a dead letter.
#include <gtest/gtest.h>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using Row = std::vector<std::optional<std::string>>;

std::vector<std::optional<std::string>> fed(std::initializer_list<const char*> records) {
  return {records.begin(), records.end()};
}

std::vector<std::string> reasons(Service& service) {
  std::vector<std::string> reasons;
  for (const DeadLetter& letter : service.dead_letters()) reasons.push_back(letter.reason);
  return reasons;
}

// The numbers of the records, as PostgreSQL reads the same texts.
constexpr const char* kNumbers[] = {"169299987.35345112",
                                    "12345678901234567.89",
                                    "0.123456789012345678",
                                    "1.10",
                                    "1E2",
                                    "-0.0",
                                    "-0",
                                    "9007199254740993.0",
                                    "327267367867168100000",
                                    "115792089237316195423570985008687907853269984665640564039457",
                                    "1e300",
                                    "1e-300",
                                    "5e-324",
                                    "99999999999999.995"};

TEST(ValuesRegress, NumbersArriveAsPostgresqlReadsTheirText) {
  Service service({.table = "CREATE TABLE t (n numeric, m numeric(78,18), d double precision, "
                            "j json, b jsonb, doc json, source_offset bigint)",
                   .columns = {{"n", "msg.v"},
                               {"m", "'msg.v == 1e300 ? 0.0 : msg.v'"},
                               {"d", "msg.v"},
                               {"j", "msg.v"},
                               {"b", "msg.v"},
                               {"doc", "msg"}}});
  std::vector<std::optional<std::string>> records;
  for (const char* number : kNumbers) {
    records.push_back(std::string(R"({"v":)") + number + "}");
  }
  service.feed(records);
  const auto rows =
      service.database().query("SELECT n, d, j, b, doc FROM t ORDER BY source_offset");
  std::vector<Row> expected;
  for (const char* number : kNumbers) {
    const std::string sql = std::string("SELECT '") + number + "'::numeric, '" + number +
                            "'::float8, '" + number + "'::json, '" + number +
                            "'::jsonb, '{\"v\":" + number + "}'::json";
    expected.push_back(service.database().query(sql).at(0));
  }
  EXPECT_EQ(rows.size() + service.dead_letters().size(), std::size(kNumbers));
  for (const auto& row : rows) {
    EXPECT_TRUE(std::ranges::contains(expected, row)) << row[0].value_or("NULL");
  }
  // Those that no type of the language holds, which the second column looks at.
  EXPECT_EQ(reasons(service),
            (std::vector<std::string>{"number_out_of_range", "number_out_of_range"}));
}

TEST(ValuesRegress, ABigintTakesWholeNumbersExactlyOrNotAtAll) {
  for (const char* parse : {"{json: {}}", "{schema: {v: int}}"}) {
    Service service({.table = "CREATE TABLE t (v bigint, source_offset bigint)",
                     .columns = {{"v", "msg.v"}},
                     .parse = parse});
    service.feed(
        fed({R"({"v":9007199254740993.0})", R"({"v":9.007199254740993E15})", R"({"v":7E+3})",
             R"({"v":-0.0})", R"({"v":1e3})", R"({"v":5.5})", R"({"v":9223372036854775808})",
             R"({"v":4503599627370496.25})", R"({"v":1e400})", R"({"v":-9223372036854775808})"}));
    EXPECT_EQ(service.rows("v"), (harness::SqlRows{{"9007199254740993"},
                                                   {"9007199254740993"},
                                                   {"7000"},
                                                   {"0"},
                                                   {"1000"},
                                                   {"-9223372036854775808"}}));
    EXPECT_EQ(service.dead_letters().size(), 4U);
  }
}

TEST(ValuesRegress, WhatNobodyReadsHarmsNobody) {
  Service service({.table = "CREATE TABLE t (id int, name text, source_offset bigint)",
                   .columns = {{"id", "msg.id"}, {"name", "msg.name"}}});
  service.feed(fed({R"({"id":1,"name":"a","bio":"cut \ud83d"})", R"({"\ud800":1,"id":2})",
                    R"({"id":3,"big":123456789012345678901234567890,"far":1e999})",
                    R"({"id":4,"name":"\ud800"})"}));
  EXPECT_EQ(service.rows("id"), (harness::SqlRows{{"1"}, {"2"}, {"3"}}));
  EXPECT_EQ(reasons(service), (std::vector<std::string>{"lone_surrogate"}));
}

TEST(ValuesRegress, TheDocumentIsKeptAsItCame) {
  Service service({.table = "CREATE TABLE t (j json, b jsonb, raw bytea, txt text, whole json, "
                            "source_offset bigint)",
                   .columns = {{"j", "msg"},
                               {"b", "msg"},
                               {"raw", "record.value"},
                               {"txt", "record.value"},
                               {"whole", "record.value"}}});
  const std::string document =
      R"({ "z":1.10, "a":1E2,"z":"\u0061", "big":123456789012345678901234567890 })";
  service.feed({document, R"({"a":"\ud800"})", R"({"a":"\u0000"})", R"({"a":1e200000})"});
  EXPECT_EQ(
      service.database().query("SELECT j, b, convert_from(raw, 'utf8'), txt, whole FROM t"),
      (harness::SqlRows{{document, R"({"a": 100, "z": "a", "big": 123456789012345678901234567890})",
                         document, document, document}}));
  EXPECT_EQ(reasons(service),
            (std::vector<std::string>{"lone_surrogate", "nul_in_text", "out_of_range"}));
}

TEST(ValuesRegress, ARecordOfAnotherShapeIsADeadLetter) {
  for (const char* v : {"msg.v", "msg.customer.name"}) {
    for (const char* parse : {"{json: {}}", "{schema: {id: int}}"}) {
      Service service({.table = "CREATE TABLE t (id bigint, v text, source_offset bigint)",
                       .columns = {{"id", "msg.id"}, {"v", v}},
                       .parse = parse});
      service.feed(fed({"5", "[]", "\"str\"", "null", "true", R"([{"id":1},{"id":2}])", "{}",
                        R"({"ID":1,"V":"x"})", R"({"schema":{},"payload":{"id":1}})",
                        R"({"before":null,"after":{"id":1}})",
                        R"({"id":11,"v":"ok","customer":{"name":"ok"}})"}));
      EXPECT_EQ(service.rows("id, v"), (harness::SqlRows{{"11", "ok"}}));
      EXPECT_EQ(reasons(service),
                (std::vector<std::string>{"not_an_object", "not_an_object", "not_an_object",
                                          "not_an_object", "not_an_object", "not_an_object",
                                          "missing_field", "missing_field", "missing_field",
                                          "missing_field"}));
      EXPECT_TRUE(service.dead_letters()[9].message.ends_with("it has before, after"))
          << service.dead_letters()[9].message;
    }
  }
}

TEST(ValuesRegress, APathThroughATextIsADeadLetterAndThroughNullIsNull) {
  Service service({.table = "CREATE TABLE t (id bigint, v text, source_offset bigint)",
                   .columns = {{"id", "msg.id"}, {"v", "msg.customer.name"}}});
  service.feed(
      fed({R"({"id":7,"customer":null})", R"({"id":8,"customer":"bob"})",
           R"({"id":9,"customer":[]})", R"({"id":10,"customer":{"name":null}})", R"({"id":11})"}));
  EXPECT_EQ(
      service.rows("id, v"),
      (harness::SqlRows{Row{"7", std::nullopt}, Row{"10", std::nullopt}, Row{"11", std::nullopt}}));
  EXPECT_EQ(reasons(service), (std::vector<std::string>{"wrong_type", "wrong_type"}));
}

TEST(ValuesRegress, ADeadLetterNamesTheExpressionThatFailed) {
  Service service({.table = "CREATE TABLE t (id bigint, total numeric, source_offset bigint)",
                   .columns = {{"id", "msg.id"}, {"total", "total"}},
                   .pipeline_yaml = "    compute: {where: 'msg.amount > 0.0', let: {total: "
                                    "'double(msg.quantity) * msg.unit_price'}}\n"});
  service.feed(fed({R"({"id":1,"amount":1,"quantity":1,"unit_price":2})",
                    R"({"id":2,"quantity":1,"unit_price":2.0})", R"({"id":3})",
                    R"({"id":4,"amount":"x"})"}));
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 4U);
  EXPECT_TRUE(letters[0].message.starts_with("let \"total\": ")) << letters[0].message;
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_TRUE(letters[i].message.starts_with("where: ")) << letters[i].message;
  }
}

TEST(ValuesRegress, ARefusedLabelOrDomainNamesItsColumn) {
  Service service(
      {.table = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE SCHEMA s; "
                "CREATE DOMAIN s.\"Amount\" AS numeric(12,2) CHECK (VALUE >= 0); "
                "CREATE DOMAIN label AS mood CHECK (VALUE <> 'sad'); "
                "CREATE TYPE size AS ENUM ('big'); CREATE TYPE thing AS (s size, m mood); "
                "CREATE TABLE t (id int, m mood, ms mood[], a s.\"Amount\", p label, q label, "
                "c thing, cs thing[], source_offset bigint)",
       .columns = {{"id", "msg.id"},
                   {"m", "msg.m"},
                   {"ms", "msg.ms"},
                   {"a", "msg.a"},
                   {"p", "msg.p"},
                   {"q", "msg.q"},
                   {"c", "msg.c"},
                   {"cs", "msg.cs"}}});
  const auto records = fed({R"({"id":1,"m":"glad"})", R"({"id":2,"ms":["ok","glad"]})",
                            R"({"id":3,"a":-1})", R"({"id":4,"p":"sad"})", R"({"id":5,"q":"x"})",
                            R"({"id":6,"c":{"m":"x"}})", R"({"id":7,"cs":[{"s":"x"}]})"});
  std::vector<std::optional<std::string>> among_others(200, R"({"id":0,"m":"ok","a":1})");
  service.feed(records);  // by INSERT
  among_others.insert(among_others.begin() + 100, records.begin(), records.end());
  among_others.resize(among_others.size() + 400, R"({"id":0,"p":"ok"})");
  service.feed(among_others);  // by COPY
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE id = 0"), 600);
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 14U);
  for (std::size_t i = 0; i < letters.size(); i += 7) {
    EXPECT_EQ(letters[i].message,
              "column \"m\": invalid input value for enum mood: \"glad\" (hint: one of: sad, ok)");
    EXPECT_EQ(letters[i + 1].message,
              "column \"ms\": invalid input value for enum mood: \"glad\" (hint: one of: "
              "sad, ok)");
    EXPECT_EQ(
        letters[i + 2].message,
        "column \"a\": value for domain s.\"Amount\" violates check constraint \"Amount_check\"");
    EXPECT_EQ(letters[i + 3].message,
              "column \"p\": value for domain label violates check constraint \"label_check\"");
    EXPECT_EQ(letters[i + 4].message,
              "column \"q\": invalid input value for enum mood: \"x\" (hint: one of: sad, ok)");
    EXPECT_EQ(letters[i + 5].message,
              "column \"c\": invalid input value for enum mood: \"x\" (hint: one of: sad, ok)");
    EXPECT_EQ(letters[i + 6].message,
              "column \"cs\": invalid input value for enum size: \"x\" (hint: one of: big)");
  }
  EXPECT_TRUE(service.process().log().contains("\"column\":\"m\"")) << service.process().log();
}

// Documents at the edges of JSON: what becomes of each, by name and by expressions.
TEST(ValuesRegress, OddDocumentsAreRowsOrDeadLettersWithTheirReason) {
  const std::string deepest = std::string(255, '[') + std::string(255, ']');
  const std::pair<std::string, std::string> cases[] = {
      {"\xEF\xBB\xBF{\"id\":1}", "1"},
      {"\xEF\xBB\xBF\xEF\xBB\xBF{\"id\":1}", "invalid_json"},
      {" \r\n\t{\"id\":2}\r\n", "2"},
      {R"({"id":1,"id":3})", "3"},
      {R"({"\u0069d":4})", "4"},
      {R"({"id":5,"":1,"a.b":{"c.d":1},"$x":1,"é":"\ud83d\ude00"})", "5"},
      {R"({"id":6,"deep":)" + deepest + "}", "6"},
      {R"({"id":6,"deep":[)" + deepest + "]}", "too_deep"},
      {R"({"id":7,"twice":{"a":1,"a":[1e999]}})", "7"},
      {"", "empty_payload"},
      {" \n", "empty_payload"},
      {"{", "truncated_json"},
      {R"({"id":1)", "truncated_json"},
      {R"({"id":1,})", "invalid_json"},
      {R"({"id":1}x)", "trailing_content"},
      {R"({"id":1}{"id":2})", "trailing_content"},
      {R"({"id":1} // one)", "trailing_content"},
      {R"({"id":NaN})", "invalid_json"},
      {R"({"id":+1})", "invalid_json"},
      {R"({"id":01})", "invalid_json"},
      {R"({"id":1.})", "invalid_json"},
      {R"({"id":.5})", "invalid_json"},
      {R"({"id":True})", "invalid_json"},
      {"{'id':1}", "invalid_json"},
      {"{id:1}", "invalid_json"},
      {"{\"id\":1,\"s\":\"a\nb\"}", "invalid_json"},
      {"{\"id\":1,\"s\":\"\\x\"}", "invalid_json"},
      {"{\"id\":1,\"s\":\"\\u12\"}", "invalid_json"},
      {"{\"id\":1,\"s\":\"\xff\"}", "invalid_utf8"},
      {"{\"id\":1,\"s\":\"\xed\xa0\x80\"}", "invalid_utf8"},
      {std::string("{\"id\":1}\0", 9), "trailing_content"},
      {std::string("{\0\"\0i\0", 6), "not_utf8"},
      {std::string("\0\0\0\0\x0C{\"id\":1}", 13), "registry_format"},
      {"\x1F\x8B\x08", "compressed_payload"},
  };
  for (const bool by_name : {true, false}) {
    Service service({.table = by_name ? "CREATE TABLE t (id bigint)"
                                      : "CREATE TABLE t (id bigint, source_offset bigint)",
                     .by_name = by_name,
                     .columns = {{"id", "msg.id"}}});
    std::vector<std::optional<std::string>> records;
    for (const auto& [document, becomes] : cases) records.emplace_back(document);
    service.feed(records);
    std::vector<std::string> found;
    for (const auto& row : service.database().query("SELECT id FROM t ORDER BY id")) {
      found.push_back(row[0].value_or("NULL"));
    }
    const std::size_t rows = found.size();
    for (const DeadLetter& letter : service.dead_letters()) {
      EXPECT_EQ(letter.reason, cases[letter.offset].second)
          << cases[letter.offset].first.substr(0, 40) << ": " << letter.message;
      found.push_back(letter.reason);
    }
    EXPECT_EQ(found.size(), std::size(cases));
    EXPECT_EQ(rows, 7U);
    for (std::size_t i = 0; i < rows; ++i) EXPECT_EQ(found[i], std::to_string(i + 1));
  }
}

// A record of another shape, below the top: what is no object has no fields.
TEST(ValuesRegress, PathsIntoListsAndTextsAreDeadLettersWithThePlace) {
  Service service({.table = "CREATE TABLE t (id bigint, v text, source_offset bigint)",
                   .columns = {{"id", "msg.id"},
                               {"v", "'has(msg.items) ? msg.items[0].name : msg.a[\"b.c\"].d'"}}});
  service.feed(fed({R"({"id":1,"items":[{"name":"x"}]})", R"({"id":2,"items":[]})",
                    R"({"id":3,"items":{"name":"x"}})", R"({"id":4,"items":["x"]})",
                    R"({"id":5,"items":"x"})", R"({"id":6,"items":null})",
                    R"({"id":7,"a":{"b.c":{"d":"y"}}})", R"({"id":8,"a":{"b":{"c":{"d":"y"}}}})",
                    R"({"id":9,"a":{"b.c":"y"}})", R"({"id":10,"a":[]})"}));
  EXPECT_EQ(service.rows("id, v"), (harness::SqlRows{{"1", "x"}, {"7", "y"}}));
  for (const DeadLetter& letter : service.dead_letters()) {
    EXPECT_TRUE(letter.message.starts_with("column \"v\": ")) << letter.message;
    EXPECT_NE(letter.reason, "internal") << letter.message;
  }
  EXPECT_EQ(service.dead_letters().size(), 8U);
}

}  // namespace
}  // namespace penstock::test
