#include "write/keyed_sql.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::write {
namespace {

using Columns = std::vector<std::uint16_t>;

// t (a, "b c" NOT NULL, d, e NOT NULL DEFAULT), by its key (a).
Target target(WriteMode mode) {
  Target made{.number = 0, .table = {}, .mode = mode, .key = {0}};
  made.table.schema = "public";
  made.table.name = "t";
  for (const char* const name : {"a", "b c", "d", "e"}) {
    made.table.columns.emplace_back().name = name;
  }
  made.table.columns[0].not_null = true;
  made.table.columns[1].not_null = true;
  made.table.columns[3].not_null = true;
  made.table.columns[3].has_default = true;
  return made;
}

TEST(KeyedSql, SetsWhatIsNotOfTheKeyWhereItDiffers) {
  EXPECT_EQ(keyed_row_sql(target(WriteMode::upsert), Columns{0, 1, 2}, false),
            R"(INSERT INTO "public"."t" AS target ("a", "b c", "d") VALUES ($1, $2, $3) )"
            R"(ON CONFLICT ("a") DO UPDATE SET "b c" = excluded."b c", "d" = excluded."d" )"
            R"(WHERE ROW(target."b c", target."d")::pg_catalog.record OPERATOR(pg_catalog.*<>) )"
            R"(ROW(excluded."b c", excluded."d")::pg_catalog.record)");
}

TEST(KeyedSql, DoesNothingWhereThereIsNothingToSet) {
  Target keys = target(WriteMode::upsert);
  keys.table.columns[1].not_null = false;
  EXPECT_EQ(keyed_row_sql(keys, Columns{0}, false),
            R"(INSERT INTO "public"."t" AS target ("a") VALUES ($1) ON CONFLICT ("a") DO NOTHING)");
  EXPECT_EQ(keyed_row_sql(target(WriteMode::ignore), Columns{0, 1}, false),
            R"(INSERT INTO "public"."t" AS target ("a", "b c") VALUES ($1, $2) )"
            R"(ON CONFLICT ("a") DO NOTHING)");
}

TEST(KeyedSql, UpdatesFirstWhereANewRowWouldLackAColumn) {
  EXPECT_TRUE(is_partial(target(WriteMode::upsert), Columns{0, 2}));
  EXPECT_FALSE(is_partial(target(WriteMode::upsert), Columns{0, 1}));
  EXPECT_FALSE(is_partial(target(WriteMode::ignore), Columns{0, 2}))
      << "there is nothing to update";
  EXPECT_EQ(keyed_row_sql(target(WriteMode::upsert), Columns{0, 2}, false),
            R"(WITH inserted AS (INSERT INTO "public"."t" AS target ("a", "d") SELECT $1, $2 )"
            R"(WHERE NOT EXISTS (SELECT FROM "public"."t" AS present WHERE present."a" = $1) )"
            R"(ON CONFLICT ("a") DO UPDATE SET "d" = excluded."d" )"
            R"(WHERE ROW(target."d")::pg_catalog.record OPERATOR(pg_catalog.*<>) )"
            R"(ROW(excluded."d")::pg_catalog.record) )"
            R"(UPDATE "public"."t" AS target SET "d" = $2 WHERE target."a" = $1)");
}

TEST(KeyedSql, MarksARowThatIsNotMarkedYet) {
  Target marked = target(WriteMode::upsert);
  marked.deleted_at = 2;
  EXPECT_EQ(keyed_row_sql(marked, Columns{0, 2}, true),
            R"(UPDATE "public"."t" AS target SET "d" = $2 WHERE target."a" = $1 AND )"
            R"(target."d" IS NULL)");
}

TEST(KeyedSql, LetsOnlyNewerVersionsReplaceARow) {
  Target versioned = target(WriteMode::upsert);
  versioned.newer_by = 2;
  EXPECT_TRUE(keyed_row_sql(versioned, Columns{0, 1, 2}, false)
                  .ends_with(R"("d" = excluded."d" WHERE (excluded."d" > target."d" OR )"
                             R"(target."d" IS NULL AND excluded."d" IS NOT NULL))"));
  EXPECT_TRUE(keyed_row_sql(versioned, Columns{0, 2}, false)
                  .ends_with(R"(WHERE target."a" = $1 AND ($2 > target."d" OR )"
                             R"(target."d" IS NULL AND $2 IS NOT NULL))"));
  EXPECT_TRUE(merge_sql(versioned, Columns{0, 1, 2}, "s", "", Meeting::conflict)
                  .contains(R"(ORDER BY "a", "d" DESC NULLS LAST, "penstock_place" ON CONFLICT)"));
}

TEST(KeyedSql, UpdatesWithoutInserting) {
  EXPECT_EQ(keyed_row_sql(target(WriteMode::update), Columns{0, 2}, false),
            R"(UPDATE "public"."t" AS target SET "d" = $2 WHERE target."a" = $1)");
  EXPECT_TRUE(merge_sql(target(WriteMode::update), Columns{0, 2}, "s", "", Meeting::look_first)
                  .ends_with(R"(DESC) AS staged WHERE target."a" = staged."a" AND )"
                             R"((ROW(target."d")::pg_catalog.record OPERATOR(pg_catalog.*=) )"
                             R"(ROW(staged."d")::pg_catalog.record) IS NOT TRUE)"));
}

TEST(KeyedSql, RemovesByTheKeyAlone) {
  EXPECT_EQ(keyed_row_sql(target(WriteMode::upsert), Columns{0}, true),
            R"(DELETE FROM "public"."t" AS target WHERE target."a" = $1)");
}

TEST(KeyedSql, NumbersRowsInAColumnThatTheTableDoesNotHave) {
  Target busy = target(WriteMode::upsert);
  busy.table.columns[2].name = "penstock_place";
  EXPECT_TRUE(staging_sql(busy, Columns{0, 1, 2}, "s", false).contains(R"("penstock_place_")"));
  EXPECT_TRUE(staging_copy_sql(busy, Columns{0, 1, 2}, "s")
                  .contains(R"("penstock_place", "penstock_place_")"));
}

TEST(KeyedSql, LetsStagedRowsLackWhatTheTableHasADefaultFor) {
  EXPECT_TRUE(staging_sql(target(WriteMode::upsert), Columns{0, 1}, "s", false)
                  .contains(R"(ALTER TABLE pg_temp.s ALTER COLUMN "e" DROP NOT NULL)"));
  EXPECT_FALSE(staging_sql(target(WriteMode::upsert), Columns{0, 1, 3}, "s", false)
                   .contains("DROP NOT NULL"));
}

TEST(KeyedSql, MergesTheLastVersionsSortedByKey) {
  const std::string merged =
      merge_sql(target(WriteMode::upsert), Columns{0, 1}, "s", "r", Meeting::conflict);
  EXPECT_TRUE(merged.contains(R"(SELECT DISTINCT ON ("a") "a", "b c" FROM pg_temp.s AS staged )"
                              R"(WHERE NOT EXISTS (SELECT FROM pg_temp.r AS removed WHERE )"
                              R"(removed."a" = staged."a" AND removed."penstock_place" > )"
                              R"(staged."penstock_place") ORDER BY "a", "penstock_place" DESC )"))
      << merged;
  EXPECT_TRUE(
      merge_sql(target(WriteMode::ignore), Columns{0, 1}, "s", "", Meeting::conflict)
          .contains(R"(FROM pg_temp.s AS staged ORDER BY "a", "penstock_place" ON CONFLICT)"));
  Target looking = target(WriteMode::ignore);
  looking.in_order_for = "the trigger x";
  EXPECT_TRUE(merge_sql(looking, Columns{0, 1}, "s", "", Meeting::conflict)
                  .contains(R"(ORDER BY "penstock_place" ON CONFLICT)"));
}

TEST(KeyedSql, MergesWhatIsNewerOrAnother) {
  EXPECT_EQ(merge_sql(target(WriteMode::upsert), Columns{0, 1}, "s", "", Meeting::merge),
            R"(MERGE INTO "public"."t" AS target USING (SELECT DISTINCT ON ("a") "a", "b c" FROM )"
            R"(pg_temp.s AS staged ORDER BY "a", "penstock_place" DESC) AS staged ON target."a" = )"
            R"(staged."a" WHEN MATCHED AND (ROW(target."b c")::pg_catalog.record )"
            R"(OPERATOR(pg_catalog.*=) ROW(staged."b c")::pg_catalog.record) IS NOT TRUE THEN )"
            R"(UPDATE SET "b c" = staged."b c" WHEN NOT MATCHED THEN INSERT ("a", "b c") VALUES )"
            R"((staged."a", staged."b c"))");
  Target versioned = target(WriteMode::upsert);
  versioned.newer_by = 2;
  EXPECT_TRUE(merge_sql(versioned, Columns{0, 2}, "s", "", Meeting::merge)
                  .contains(R"(WHEN MATCHED AND (staged."d" > target."d" OR target."d" IS )"
                            R"(NULL AND staged."d" IS NOT NULL) THEN UPDATE SET )"
                            R"("d" = staged."d" WHEN)"));
  EXPECT_FALSE(merge_sql(target(WriteMode::upsert), Columns{0}, "s", "", Meeting::merge)
                   .contains("WHEN MATCHED"));
}

TEST(KeyedSql, LooksFirstWhereMostIsThereAlready) {
  EXPECT_TRUE(
      merge_sql(target(WriteMode::upsert), Columns{0, 1}, "s", "", Meeting::look_first)
          .contains(R"(DESC) AS staged WHERE (SELECT ROW(target."b c")::pg_catalog.record )"
                    R"(OPERATOR(pg_catalog.*=) ROW(staged."b c")::pg_catalog.record FROM )"
                    R"("public"."t" AS target WHERE target."a" = staged."a") IS NOT TRUE)"));
}

}  // namespace
}  // namespace penstock::write
