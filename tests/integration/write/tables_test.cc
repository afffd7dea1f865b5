// Records with rows in more than one table, and rows of very many shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

class TablesTest : public WriteTest {
 protected:
  TablesTest() {
    database_.execute(
        "CREATE TABLE parents (id bigint PRIMARY KEY, name text, seq bigserial);"
        "CREATE TABLE children (parent bigint REFERENCES parents, size int CHECK (size <> 13), seq "
        "bigserial)");
  }
  Options by(bool copy) {
    Options chosen = options_of({"parents", "children"});
    chosen.writer.copy_from_rows = copy ? 1 : 1'000'000;
    return chosen;
  }
};

TEST_F(TablesTest, ARecordsRowsGoToAllOfItsTables) {
  for (const bool copy : {true, false}) {
    database_.execute("TRUNCATE parents CASCADE; DELETE FROM penstock.offsets");
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    claim(0);
    // Children come before their parents in the batch; parents are written first.
    BatchBuilder batch = builder(0, 1, 0);
    for (int i = 0; i < 300; ++i) {
      batch.rows({{1, {int8(i), int4(1)}}, {1, {int8(i), int4(2)}}, {0, {int8(i), text("p")}}});
    }
    lane.push(batch.build());
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(database_.number("SELECT count(*) FROM parents"), 300);
    EXPECT_EQ(database_.number("SELECT count(*) FROM children"), 600);
    EXPECT_EQ(record.committed_rows(), 900U);
    EXPECT_EQ(record.commits().front().by_copy, copy);
    EXPECT_EQ(position(0), 300);
  }
}

TEST_F(TablesTest, ARefusedRowTakesTheRecordsOtherRowsWithIt) {
  for (const int count : {20, 600}) {
    for (const bool copy : {true, false}) {
      database_.execute(
          "TRUNCATE parents CASCADE; DELETE FROM penstock.offsets; DELETE FROM "
          "penstock.dead_letters");
      Record record;
      TestLane lane(by(copy), record, in_flight_);
      claim(0);
      BatchBuilder batch = builder(0, 1, 0);
      for (int i = 0; i < count; ++i) {
        batch.rows({{0, {int8(i), text("p")}},
                    {1, {int8(i), int4(1)}},
                    {1, {int8(i), int4(i == 7 || i == count - 1 ? 13 : 2)}}});
      }
      lane.push(batch.build());
      lane.start();
      ASSERT_TRUE(lane.close(in_seconds(20)));
      EXPECT_EQ(database_.number("SELECT count(*) FROM parents"), count - 2);
      EXPECT_EQ(database_.number("SELECT count(*) FROM children"), 2 * (count - 2));
      EXPECT_EQ(database_.value("SELECT string_agg(\"offset\"::text, ',' ORDER BY \"offset\") FROM "
                                "penstock.dead_letters"),
                "7," + std::to_string(count - 1));
      EXPECT_EQ(record.committed_rows(), static_cast<std::uint64_t>(3 * (count - 2)));
      EXPECT_EQ(record.commits().front().refused_records, 2U);
      for (const std::string table : {"parents", "children"}) {
        const std::string key = table == "parents" ? "id" : "parent";
        EXPECT_EQ(database_.number("SELECT count(*) FROM (SELECT " + key + ", lag(" + key +
                                   ") OVER (ORDER BY seq) AS before FROM " + table +
                                   ") x WHERE before > " + key),
                  0)
            << "the order of " << table;
      }
    }
  }
}

TEST_F(TablesTest, ARecordIsRefusedForItsFirstTableAsWell) {
  TestLane lane(by(true), record_, in_flight_);
  claim(0);
  BatchBuilder batch = builder(0, 1, 0);
  for (const int id : {1, 2, 1, 3})
    batch.rows({{0, {int8(id), text("p")}}, {1, {int8(id), int4(id)}}});
  lane.push(batch.build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM children"), 3);
  EXPECT_EQ(database_.value("SELECT \"offset\" || reason FROM penstock.dead_letters"),
            "2unique_violation");
}

TEST_F(TablesTest, APartitionedTableIsWrittenThroughItsParent) {
  database_.execute(
      "CREATE TABLE parts (id bigint, seq bigserial) PARTITION BY RANGE (id);"
      "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);"
      "CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (1000)");
  TestLane lane(options("parts"), record_, in_flight_);
  claim(0);
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 600; ++i) batch.row({int8(i)});
  lane.push(batch.build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM parts_low"), 100);
  EXPECT_EQ(database_.number("SELECT count(*) FROM parts_high"), 500);
}

class ShapesTest : public WriteTest {
 protected:
  // A table with `columns` int columns c0 … that each row may lack, and what its lane's session
  // holds at each statement.
  void make_table(int columns, const std::string& type) {
    std::string sql = "CREATE TABLE shapes (id bigint";
    for (int i = 0; i < columns; ++i) sql += ", c" + std::to_string(i) + " " + type;
    database_.execute(
        sql +
        ", seq bigserial); CREATE TABLE held (statements bigint, bytes bigint);"
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF random() < 0.02 THEN INSERT INTO held SELECT (SELECT count(*) FROM "
        "pg_prepared_statements), (SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE "
        "name LIKE 'CachedPlan%'); END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER look AFTER INSERT ON shapes FOR EACH STATEMENT EXECUTE FUNCTION look()");
  }
  // Record i has those columns whose bit is set in a number that i makes.
  void write(const Options& chosen, int columns, int records) {
    claim(0);
    TestLane lane(chosen, record_, in_flight_);
    std::uint32_t state = 7;
    for (int from = 0; from < records; from += 500) {
      BatchBuilder batch = builder(0, 1, from);
      for (int i = from; i < from + 500; ++i) {
        state = state * 1664525U + 1013904223U;
        std::vector<std::uint16_t> shape{0};
        std::vector<Field> fields{int8(i)};
        for (int column = 0; column < columns; ++column) {
          if (((state >> (31 - column)) & 1U) == 0) continue;
          shape.push_back(static_cast<std::uint16_t>(column + 1));
          fields.push_back(int4(i));
        }
        batch.shape(shape).row(fields);
      }
      lane.push(batch.build());
    }
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(database_.number("SELECT count(*) FROM shapes"), records);
    EXPECT_EQ(database_.number("SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY seq) AS "
                               "before FROM shapes) x WHERE before > id"),
              0);
    std::string sum;
    for (int column = 0; column < columns; ++column) {
      sum += (sum.empty() ? "count(c" : " + count(c") + std::to_string(column) + ")";
    }
    EXPECT_GT(database_.number("SELECT " + sum + " FROM shapes"), records * columns / 3);
  }
};

TEST_F(ShapesTest, OptionalColumnsTakeNoStatementEach) {
  make_table(20, "int");
  write(options("shapes"), 20, 4000);
  EXPECT_TRUE(record_.commits().front().by_copy) << "they are one shape to PostgreSQL";
  EXPECT_LE(database_.number("SELECT coalesce(max(statements), 0) FROM held"), 20);
}

TEST_F(ShapesTest, StatementsAreBoundedWhereEachColumnHasADefault) {
  make_table(12, "int DEFAULT -1");
  write(options("shapes"), 12, 4000);
  EXPECT_LE(database_.number("SELECT max(statements) FROM held"), 141);
  EXPECT_LE(database_.number("SELECT max(bytes) FROM held"), 10 << 20);
  EXPECT_EQ(database_.number("SELECT count(*) FROM shapes WHERE c0 IS NULL"), 0);
  EXPECT_GT(database_.number("SELECT count(*) FROM shapes WHERE c0 = -1"), 1000);
}

}  // namespace
}  // namespace penstock::write
