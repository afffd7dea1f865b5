// Columns of types that Penstock has no encoder for, and tables of other kinds: a table can be
// written whatever its columns are, and what cannot be written says why.
#include <gtest/gtest.h>

#include <chrono>
#include <format>
#include <string>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;
using Records = std::vector<std::optional<std::string>>;

// Options that belong to sink.target stand in lines that follow its columns.
constexpr const char* kUpsert = "        mode: upsert\n";

Records points(int count) {
  Records records;
  for (int i = 0; i < count; ++i) {
    records.emplace_back(std::format(R"json({{"id":{0},"at":"({0},1)","tags":["t"]}})json", i));
  }
  return records;
}

TEST(Types, ATextThatIsNoneOfTheTypeIsADeadLetterAndNobodyElsesHarm) {
  for (const int count : {20, 3000}) {  // so many would go by COPY, too
    Service service(
        {.table = "CREATE TABLE t (id int, at point, tags text[], source_offset bigint)",
         .columns = {{"id", "msg.id"}, {"at", "msg.at"}, {"tags", "msg.tags"}}});
    Records records = points(count);
    records[7] = R"({"id":7,"at":"nowhere","tags":["t"]})";
    service.feed(records);
    EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE at[0] = id AND at[1] = 1 "
                                        "AND tags = '{t}' AND id = source_offset"),
              count - 1);
    ASSERT_EQ(service.dead_letters().size(), 1U);
    const DeadLetter letter = service.dead_letters()[0];
    EXPECT_EQ(letter.offset, 7);
    EXPECT_EQ(letter.stage, "write");
    EXPECT_EQ(letter.reason, "invalid_text_representation");
    EXPECT_EQ(letter.message, "column \"at\": invalid input syntax for type point: \"nowhere\"");
  }
}

// Whatever SQLSTATE it has: that is not the table's fault, nor the server's.
TEST(Types, ATextThatNamesWhatIsNotThereIsTheRowsFault) {
  Service service({.table = "CREATE TABLE t (r regclass, p regprocedure, source_offset bigint)",
                   .columns = {{"r", "msg.?r"}, {"p", "msg.?p"}}});
  service.feed({R"json({"r":"t"})json", R"({"r":"no_such_table"})",
                R"json({"p":"no_such_function(int)"})json", R"json({"p":"lower(text)"})json",
                R"({"r":"no_such_schema.t"})"});
  EXPECT_EQ(service.rows("r::text, p::text"),
            (harness::SqlRows{{"t", std::nullopt}, {std::nullopt, "lower(text)"}}));
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 3U);
  EXPECT_EQ(letters[0].message, "column \"r\": relation \"no_such_table\" does not exist");
  EXPECT_TRUE(letters[1].message.starts_with("column \"p\": ")) << letters[1].message;
  EXPECT_EQ(letters[2].offset, 4);
}

TEST(Types, ATypesTextMayBeAKeyAndAVersion) {
  for (const int count : {4, 800}) {
    Service service(
        {.table =
             "CREATE TABLE t (id pg_lsn PRIMARY KEY, at point, version pg_lsn, span int4range, "
             "source_offset bigint)",
         .columns =
             {{"id", "msg.id"}, {"at", "msg.?at"}, {"version", "msg.v"}, {"span", "msg.?span"}},
         .pipeline_yaml = std::string(kUpsert) + "        newer_by: version\n"});
    Records records;
    for (int i = 0; i < count; ++i) {
      records.emplace_back(R"json({"id":"0/0A","v":"0/9","at":"(1,1)"})json");  // older than 0/10
      records.emplace_back(R"json({"id":"0/A","v":"0/10","at":"(2,2)","span":{"lower":1}})json");
      records.emplace_back(R"({"id":"0/B","v":"0/1"})");
    }
    service.feed(records);
    EXPECT_EQ(
        service.database().value(
            "SELECT string_agg(concat_ws(' ', id, at, version, span), ';' ORDER BY id) FROM t"),
        "0/A (2,2) 0/10 [1,);0/B 0/1");
    EXPECT_TRUE(service.dead_letters().empty());
  }
}

TEST(Types, AVersionNeedsAnOrder) {
  Service service({.table = "CREATE TABLE t (id int PRIMARY KEY, at point, source_offset bigint)",
                   .columns = {{"id", "msg.id"}, {"at", "msg.at"}},
                   .pipeline_yaml = std::string(kUpsert) + "        newer_by: at\n"});
  service.migrate();
  const auto checked = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_FALSE(checked.status.success());
  EXPECT_TRUE(checked.text.contains("column 'at' is of type point, which has no order"))
      << checked.text;
}

TEST(Types, ACompositeTypeWhoseAttributesChangeIsFollowed) {
  for (const int count : {1, 3000}) {
    Service service({.table = "CREATE DOMAIN zip AS text CHECK (VALUE <> ''); "
                              "CREATE TYPE inner_part AS (n int, z zip);"
                              "CREATE TYPE whole AS (part inner_part, list numeric(6,2)[]);"
                              "CREATE TABLE t (v whole, vs whole[], source_offset bigint)",
                     .columns = {{"v", "msg.?v"}, {"vs", "msg.?vs"}}});
    service.feed({R"({"v":{"part":{"n":1,"z":"x"},"list":[1.005,null]},"vs":[{"list":null},null]})",
                  R"({"v":{"part":{"n":1,"z":""}}})"});
    EXPECT_EQ(
        service.rows("v::text, vs::text"),
        (harness::SqlRows{{R"json(("(1,x)","{1.01,NULL}"))json", R"json({"(,)",NULL})json"}}));
    ASSERT_EQ(service.dead_letters().size(), 1U);
    EXPECT_EQ(service.dead_letters()[0].reason, "check_violation");
    service.database().execute("ALTER TYPE inner_part ADD ATTRIBUTE more text");
    service.feed(Records(static_cast<std::size_t>(count), R"({"v":{"part":{"n":1,"more":"y"}}})"));
    EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE (v).part::text = '(1,,y)'"),
              count);
    service.database().execute("ALTER TYPE inner_part RENAME ATTRIBUTE more TO other");
    service.feed(Records(static_cast<std::size_t>(count), R"({"v":{"part":{"n":2,"more":"y"}}})"));
    EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE (v).part::text = '(2,,)'"),
              count);
    EXPECT_EQ(service.dead_letters().size(), 1U);
  }
}

TEST(Types, AnIdentityColumnCanBeWrittenUnlessItIsAlwaysGenerated) {
  const std::string identity = "AS IDENTITY, twice int GENERATED ALWAYS AS (n * 2) STORED, ";
  Service service({.table = "CREATE TABLE t (n int, own int GENERATED ALWAYS " + identity +
                            "given int GENERATED BY DEFAULT AS IDENTITY, source_offset bigint)",
                   .columns = {{"n", "msg.n"}, {"given", "msg.?given"}}});
  service.feed({R"({"n":1})", R"({"n":2,"given":70})", R"({"n":3})"});
  EXPECT_EQ(service.rows("n, own, twice, given"),
            (harness::SqlRows{{"1", "1", "2", "1"}, {"2", "2", "4", "70"}, {"3", "3", "6", "2"}}));
  for (const std::string column : {"own", "twice"}) {
    std::string config = service.config();
    config.replace(config.find("          n: msg.n"), 18, "          " + column + ": msg.n");
    const auto checked = service.run_with_config({"check", "--online"}, config);
    EXPECT_FALSE(checked.status.success());
    EXPECT_TRUE(checked.text.contains("column '" + column + "' is GENERATED ALWAYS"))
        << checked.text;
  }
}

TEST(Types, APartitionThatIsAttachedLaterTakesItsRows) {
  Service service({.table = "CREATE TABLE t (id int, at point, source_offset bigint) "
                            "PARTITION BY RANGE (id); "
                            "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)",
                   .columns = {{"id", "msg.id"}, {"at", "msg.?at"}}});
  service.feed({R"({"id":1})", R"({"id":11})"});
  service.database().execute(
      "CREATE TABLE high (LIKE t); INSERT INTO high VALUES (12, NULL, -1);"
      "ALTER TABLE t ATTACH PARTITION high FOR VALUES FROM (10) TO (20)");
  service.feed({R"({"id":2})", R"json({"id":13,"at":"(1,1)"})json"});
  EXPECT_EQ(service.database().value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"),
            "1 2 12 13");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters()[0].offset, 1);
  EXPECT_EQ(service.dead_letters()[0].reason, "check_violation");
}

}  // namespace
}  // namespace penstock::test
