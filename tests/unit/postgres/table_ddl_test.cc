#include "postgres/table_ddl.h"

#include <gtest/gtest.h>

namespace penstock::postgres {
namespace {

const DeclaredTable kOrders{
    .columns = {{"id", "bigint"}, {"part", "text"}, {"total", "numeric(12,2)"}}};

TEST(TableDdl, MakesATableOfTheColumnsInTheirOrder) {
  EXPECT_EQ(create_table_sql("shop", "orders", kOrders),
            R"(CREATE TABLE "shop"."orders" ("id" bigint, "part" text, "total" numeric(12,2)))");
}

TEST(TableDdl, MakesTheKeyThePrimaryKey) {
  DeclaredTable table = kOrders;
  table.key = {"part", "id"};
  EXPECT_EQ(create_table_sql("shop", "orders", table),
            R"(CREATE TABLE "shop"."orders" ("id" bigint, "part" text, "total" numeric(12,2), )"
            R"(PRIMARY KEY ("part", "id")))");
}

TEST(TableDdl, AddsColumnsInOneStatement) {
  EXPECT_EQ(add_columns_sql("shop", "orders", kOrders.columns),
            R"(ALTER TABLE "shop"."orders" ADD COLUMN "id" bigint, ADD COLUMN "part" text, )"
            R"(ADD COLUMN "total" numeric(12,2))");
}

TEST(TableDdl, QuotesWhateverNamesThereAre) {
  const DeclaredTable odd{.columns = {{R"(a"; DROP TABLE x; --)", "text"}, {"Größe", "text"}},
                          .key = {R"(a"; DROP TABLE x; --)"}};
  EXPECT_EQ(create_table_sql(R"(s"1)", "select", odd),
            R"(CREATE TABLE "s""1"."select" ("a""; DROP TABLE x; --" text, "Größe" text, )"
            R"(PRIMARY KEY ("a""; DROP TABLE x; --")))");
  EXPECT_EQ(add_columns_sql("S", R"(")", std::span(odd.columns).first(1)),
            R"(ALTER TABLE "S"."""" ADD COLUMN "a""; DROP TABLE x; --" text)");
}

TEST(TableDdl, FindsTheColumnsThatAreLackingAndNeverOnesOfTheKey) {
  TableDescription there{.schema = "shop", .name = "orders", .columns = {}, .primary_key = {}};
  there.columns.emplace_back().name = "total";
  DeclaredTable wanted = kOrders;
  wanted.key = {"id"};
  EXPECT_TRUE(lacking_columns(wanted, there).empty()) << "nobody has said add_columns";
  wanted.add_columns = true;
  const auto lacking = lacking_columns(wanted, there);
  ASSERT_EQ(lacking.size(), 1U);
  EXPECT_EQ(lacking.front().name, "part");
}

}  // namespace
}  // namespace penstock::postgres
