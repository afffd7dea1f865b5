// The tables that a pipeline declares: their columns, and what is said of types that cannot be
// known.
#include "plan/declared_tables.h"

#include <gtest/gtest.h>

#include <string>

#include "app/start_up.h"
#include "config/load.h"

namespace penstock::app {
namespace {

// A pipeline with these lines under it; they begin in line 4.
std::expected<config::Loaded, config::Problems> loaded(const std::string& lines) {
  return config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [t], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n" +
          lines,
      "f.yaml", [](std::string_view) { return std::nullopt; });
}

// The statement that would make the table of a route; types that are named stand as they are.
std::string made(const std::string& lines, std::size_t route = 0) {
  const auto file = loaded(lines);
  if (!file) return config::render(file.error());
  const auto declared = plan::declared_tables(*file, 0);
  if (!declared) return config::render(declared.error());
  return postgres::create_table_sql("s", "t", (*declared)[route].table);
}

std::string found(const std::string& lines) {
  const auto file = loaded(lines);
  return config::render(file ? check_offline(*file, 0) : file.error());
}

TEST(DeclaredTables, HaveTheTypesOfTheirExpressionsInTheOrderOfTheFile) {
  EXPECT_EQ(made("    parse: {schema: {id: int, price: double, tags: list(string), who.name: "
                 "string}}\n"
                 "    compute: {let: {total: msg.price * 2.0}}\n"
                 "    sink:\n"
                 "      postgres: postgres://localhost/x\n"
                 "      target:\n"
                 "        table: orders\n"
                 "        mode: upsert\n"
                 "        key: [id]\n"
                 "        create_table: true\n"
                 "        columns:\n"
                 "          id: msg.id\n"
                 "          total: total\n"
                 "          at: record.timestamp\n"
                 "          Who: msg.who\n"
                 "          tags: msg.tags\n"
                 "          raw: record.value\n"
                 "          large: msg.id > 5\n"
                 "          age: record.timestamp - timestamp('2020-01-01T00:00:00Z')\n"
                 "          kind: msg.kind\n"
                 "        types: {kind: mood}\n"),
            R"(CREATE TABLE "s"."t" ("id" bigint, "total" double precision, "at" timestamptz, )"
            R"("Who" jsonb, "tags" text[], "raw" bytea, "large" boolean, "age" interval, )"
            R"("kind" mood, PRIMARY KEY ("id")))");
}

TEST(DeclaredTables, HaveTheDeclaredFieldsWhereNoColumnsAreListed) {
  EXPECT_EQ(made("    parse: {schema: {id: int, who.name: string, \"`a.b`\": nullable(bool)}}\n"
                 "    sink:\n"
                 "      postgres: postgres://localhost/x\n"
                 "      target: {table: orders, create_table: true, types: {extra: text}}\n"),
            R"(CREATE TABLE "s"."t" ("id" bigint, "extra" text, "a.b" boolean, "who" jsonb))");
}

TEST(DeclaredTables, HaveTheMarkOfDeletedRows) {
  EXPECT_EQ(made("    parse: {schema: {id: int}}\n"
                 "    sink:\n"
                 "      postgres: postgres://localhost/x\n"
                 "      target: {table: t, mode: upsert, key: [id], create_table: true, columns: "
                 "{id: msg.id}, delete_when: 'msg.gone == true', deleted_at: gone_at}\n"),
            R"(CREATE TABLE "s"."t" ("id" bigint, "gone_at" timestamptz, PRIMARY KEY ("id")))");
}

TEST(DeclaredTables, AreOneForAllRoutesThatGoThere) {
  const std::string routes =
      "    parse: {schema: {id: int, name: string}}\n"
      "    sink:\n"
      "      postgres: postgres://localhost/x\n"
      "      match: all\n"
      "      routes:\n"
      "        - {table: a, create_table: true, mode: upsert, key: [id], columns: {id: msg.id}}\n"
      "        - {table: b, columns: {x: msg.x}}\n"
      "        - {table: a, create_table: true, mode: upsert, key: [id], columns: {id: msg.id, "
      "n: msg.name}}\n";
  for (const std::size_t route : {0U, 2U}) {
    EXPECT_EQ(made(routes, route),
              R"(CREATE TABLE "s"."t" ("id" bigint, "n" text, PRIMARY KEY ("id")))");
  }
  EXPECT_EQ(made(routes, 1), R"(CREATE TABLE "s"."t" ())") << "nothing is declared of it";
  EXPECT_TRUE(found("    parse: {schema: {id: int, name: string}}\n"
                    "    sink:\n"
                    "      postgres: postgres://localhost/x\n"
                    "      match: all\n"
                    "      routes:\n"
                    "        - {table: a, create_table: true, columns: {x: msg.id}}\n"
                    "        - {table: a, create_table: true, columns: {x: msg.name}}\n")
                  .contains("the column 'x' would be text here, and bigint in another route to "
                            "this table"));
}

TEST(DeclaredTables, NeedTheTypesThatOnlyEachRecordTells) {
  EXPECT_EQ(found("    sink:\n"
                  "      postgres: postgres://localhost/x\n"
                  "      target:\n"
                  "        table: orders\n"
                  "        create_table: true\n"
                  "        columns:\n"
                  "          id: msg.id\n"
                  "          n: int(msg.n)\n"),
            "f.yaml:10:15: pipelines[0].sink.target.columns.id: the column 'id' cannot be made: "
            "its expression is of type dyn, which says nothing of the column's\n"
            "  10 |           id: msg.id\n"
            "     |               ^\n"
            "  hint: name it: sink.target.types: {id: bigint}, or declare the fields that the "
            "expression reads in parse.schema\n");
}

TEST(DeclaredTables, NeedSomethingThatSaysWhichColumnsThereAre) {
  const std::string text = found(
      "    sink: {postgres: postgres://localhost/x, target: {table: t, add_columns: true}}\n");
  EXPECT_TRUE(text.contains("nothing says which columns the table is to have")) << text;
  EXPECT_TRUE(text.contains("declare the fields in parse.schema")) << text;
}

TEST(DeclaredTables, HaveNoColumnsWhoseNamesPostgreSQLWouldCut) {
  for (const std::string& name : {std::string(64, 'a'), std::string("a\\0b")}) {
    const std::string text = found(
        "    sink: {postgres: postgres://localhost/x, target: {table: t, create_table: true, "
        "columns: {\"" +
        name + "\": \"'x'\"}}}\n");
    EXPECT_TRUE(text.contains("cannot be the name of a column")) << text;
  }
}

TEST(DeclaredTables, AreNoneWhereNobodyHasSaidSo) {
  EXPECT_EQ(made("    sink: {postgres: postgres://localhost/x, target: {table: t}}\n"),
            R"(CREATE TABLE "s"."t" ())");
  EXPECT_EQ(found("    sink: {postgres: postgres://localhost/x, target: {table: t}}\n"), "");
}

}  // namespace
}  // namespace penstock::app
