// Rows that PostgreSQL refuses: found, kept as dead letters, and never in the way of their
// neighbours.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

constexpr bool kCopy = true;

class RefusalTest : public WriteTest {
 protected:
  // A batch of `count` rows whose ids are their numbers; the numbers in `poison` break the CHECK.
  std::unique_ptr<RowBatch> with_poison(int count, const std::set<int>& poison, Offset from = 0) {
    BatchBuilder batch = builder(0, 1, from);
    for (int i = 0; i < count; ++i) {
      const auto id = static_cast<int>(from) + i;
      batch.row({int8(id), text(poison.contains(i) ? "bad" : "good"), int4(i)});
    }
    return batch.build();
  }

  // Writes the batches in one transaction and expects exactly these offsets to be refused.
  void expect_refused(std::vector<std::unique_ptr<RowBatch>> batches, int rows,
                      const std::set<int>& poison, const Options& options) {
    claim(0);
    TestLane lane(options, record_, in_flight_);
    for (auto& batch : batches) lane.push(std::move(batch));
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(position(0), rows);
    std::vector<std::int64_t> good;
    for (int i = 0; i < rows; ++i) {
      if (!poison.contains(i)) good.push_back(i);
    }
    EXPECT_EQ(ids(), good);
    std::set<int> refused;
    for (const auto& row :
         database_.query("SELECT \"offset\" FROM penstock.dead_letters WHERE stage = 'write'")) {
      EXPECT_TRUE(refused.insert(std::stoi(row[0].value_or("-1"))).second);
    }
    EXPECT_EQ(refused, poison);
    std::uint64_t counted = 0;
    for (const CommitStats& stats : record_.commits()) counted += stats.refused_records;
    EXPECT_EQ(counted, poison.size());
    EXPECT_EQ(record_.committed_rows(), good.size());
  }
  void expect_refused(int rows, const std::set<int>& poison, const Options& options) {
    std::vector<std::unique_ptr<RowBatch>> batches;
    batches.push_back(with_poison(rows, poison));
    expect_refused(std::move(batches), rows, poison, options);
  }
};

TEST_F(RefusalTest, FindsOneInTheMiddleOfACopy) { expect_refused(2000, {777}, by(kCopy)); }
TEST_F(RefusalTest, FindsTheFirstRowOfACopy) { expect_refused(2000, {0}, by(kCopy)); }
TEST_F(RefusalTest, FindsTheLastRowOfACopy) { expect_refused(2000, {1999}, by(kCopy)); }
TEST_F(RefusalTest, FindsManyInACopy) {
  expect_refused(5000, {0, 1, 2, 500, 501, 2500, 4998, 4999}, by(kCopy));
}
TEST_F(RefusalTest, FindsOneInAPipelinedTransaction) { expect_refused(50, {17}, by(!kCopy)); }
TEST_F(RefusalTest, FindsTheOnlyRow) { expect_refused(1, {0}, by(!kCopy)); }
TEST_F(RefusalTest, FindsItAcrossBatches) {
  const Options chosen = by(kCopy);
  std::vector<std::unique_ptr<RowBatch>> batches;
  batches.push_back(with_poison(100, {}));
  batches.push_back(with_poison(100, {50, 99}, 100));
  batches.push_back(with_poison(100, {0}, 200));
  expect_refused(std::move(batches), 300, {150, 199, 200}, chosen);
  EXPECT_EQ(record_.commits().size(), 1U);
}

// COPY takes turns between the partitions, and PostgreSQL names lines of it.
TEST_F(RefusalTest, FindsThemInACopyOfSeveralPartitions) {
  constexpr int kRows = 500;
  std::vector<std::unique_ptr<RowBatch>> batches;
  const Options chosen = by(kCopy);
  for (std::int32_t partition = 0; partition < 3; ++partition) {
    claim(partition);
    BatchBuilder batch = builder(partition, 1, 0);
    for (int i = 0; i < kRows; ++i) {
      const bool is_bad = i == 100 + partition * 150;
      batch.row({int8(i * 3 + partition), text(is_bad ? "bad" : "good"), int4(i)});
    }
    batches.push_back(batch.build());
  }
  TestLane lane(chosen, record_, in_flight_);
  for (auto& batch : batches) lane.push(std::move(batch));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(ids().size(), 3U * kRows - 3);
  std::vector<std::string> refused;
  for (const auto& row : database_.query(
           "SELECT partition || ':' || \"offset\" FROM penstock.dead_letters ORDER BY 1")) {
    refused.push_back(row[0].value_or(""));
  }
  EXPECT_EQ(refused, (std::vector<std::string>{"0:100", "1:250", "2:400"}));
  // One try that failed and told the line, and one that left out what was found.
  EXPECT_EQ(record_.commits().size(), 1U);
  EXPECT_EQ(record_.commits().front().tries, 2U);
}

TEST_F(RefusalTest, ManyPoisonRowsAmongManyGoodOnes) {
  std::set<int> poison;
  for (int i = 5; i < 20'000; i += 1000) poison.insert(i);
  expect_refused(20'000, poison, by(kCopy));
}

TEST_F(RefusalTest, AFifthOfTheRowsIsPoison) {
  std::set<int> poison;
  for (int i = 0; i < 5000; i += 5) poison.insert(i);
  const auto begin = std::chrono::steady_clock::now();
  expect_refused(5000, poison, by(kCopy));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(RefusalTest, ATableThatRefusesEveryRowStallsAndNothingIsDropped) {
  for (const bool copy : {true, false}) {
    begin_anew();
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 600));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 600; }));
    database_.execute("ALTER TABLE t ADD CONSTRAINT shut CHECK (false) NOT VALID");
    lane.push(rows(0, 600, 600));
    lane.push(rows(0, 1200, 5));
    ASSERT_TRUE(soon([&] { return record.stall().has_value(); }));
    EXPECT_EQ(record.stall()->kind, Stall::Kind::configuration);
    const Error error = record.stall()->error;
    EXPECT_EQ(error.sqlstate, "23514");
    EXPECT_TRUE(error.message.contains("\"shut\"")) << error.message;
    EXPECT_TRUE(error.message.contains("orders, partition 0, offset ")) << error.message;
    EXPECT_FALSE(error.message.contains("name 6")) << "users' data: " << error.message;
    const auto failed = lane.counters().transactions_failed.value();
    EXPECT_TRUE(soon([&] { return lane.counters().transactions_failed.value() > failed + 2; }))
        << "it is not tried again";
    EXPECT_EQ(dead_letters(), 0);
    EXPECT_EQ(position(0), 600);
    database_.execute("ALTER TABLE t DROP CONSTRAINT shut");
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(record.committed_rows(), 1205U);
    EXPECT_EQ(record.stall_kinds().back(), "");
  }
}

TEST_F(RefusalTest, ATableThatRefusesOneRowAfterTheOtherStallsAfterTwenty) {
  claim(0);
  database_.execute("ALTER TABLE t ADD CONSTRAINT shut CHECK (false) NOT VALID");
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  for (int i = 0; i < 40; ++i) {
    lane.push(rows(0, i, 1));
    ASSERT_TRUE(soon([&] {
      return record_.stall() || record_.committed_batches() == static_cast<std::size_t>(i) + 1;
    }));
    if (record_.stall()) break;
  }
  ASSERT_TRUE(record_.stall());
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
  EXPECT_EQ(dead_letters(), 19);
  database_.execute("ALTER TABLE t DROP CONSTRAINT shut");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 1U);
}

TEST_F(RefusalTest, SaysHowMuchOfItATableRefuses) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  std::set<int> third;
  for (int i = 0; i < 90; i += 3) third.insert(i);
  lane.push(with_poison(90, third));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  const std::string said = record_.stall()->error.message;
  EXPECT_TRUE(
      said.starts_with("the table refuses more than a quarter of the rows (23 of 67 "
                       "records): "))
      << said;
  lane.stop();
}

TEST_F(RefusalTest, KeepsWhatPostgresqlSaid) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(with_poison(10, {3}));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  const auto letters = database_.query(
      "SELECT stage, reason, sqlstate, message, convert_from(value, 'UTF8'), "
      "convert_from(key, 'UTF8'), extract(epoch FROM \"timestamp\")::bigint "
      "FROM penstock.dead_letters");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0][0], "write");
  EXPECT_EQ(letters[0][1], "check_violation");
  EXPECT_EQ(letters[0][2], "23514");
  EXPECT_TRUE(letters[0][3].value_or("").contains("t_name_check")) << letters[0][3].value_or("");
  EXPECT_EQ(letters[0][4], "record 3");
  EXPECT_EQ(letters[0][5], "key");
  EXPECT_EQ(letters[0][6], "1700000000");
}

TEST_F(RefusalTest, OfTwoRowsWithOneKeyTheLaterIsRefused) {
  for (const bool copy : {true, false}) {
    claim(0);
    database_.execute("TRUNCATE t; TRUNCATE penstock.dead_letters");
    TestLane lane(by(copy), record_, in_flight_);
    lane.start();
    BatchBuilder batch = builder(0, 1, 0);
    for (const int id : {1, 2, 3, 2, 4, 1}) {
      batch.row({int8(id), text("at " + std::to_string(batch.next_offset())), int4(0)});
    }
    lane.push(batch.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(ids(), (std::vector<std::int64_t>{1, 2, 3, 4}));
    EXPECT_EQ(database_.value("SELECT string_agg(name, ',' ORDER BY id) FROM t"),
              "at 0,at 1,at 2,at 4");
    EXPECT_EQ(database_.value("SELECT string_agg(\"offset\"::text, ',' ORDER BY \"offset\") FROM "
                              "penstock.dead_letters WHERE reason = 'unique_violation'"),
              "3,5");
    database_.execute("DELETE FROM penstock.offsets");
  }
}

TEST_F(RefusalTest, AForeignKeyIsNamedByNoLine) {
  database_.execute(
      "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1);"
      "CREATE TABLE children (id bigint, parent int REFERENCES parents, seq bigserial)");
  claim(0);
  TestLane lane(by(kCopy, "children"), record_, in_flight_);
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 3000; ++i) batch.row({int8(i), int4(i == 1234 || i == 2999 ? 2 : 1)});
  lane.push(batch.build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(30)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM children"), 2998);
  EXPECT_EQ(database_.number("SELECT count(*) FROM penstock.dead_letters WHERE sqlstate = '23503' "
                             "AND \"offset\" IN (1234, 2999)"),
            2);
}

TEST_F(RefusalTest, ADeferredConstraintIsFoundThoughItFiresAtCommit) {
  database_.execute(
      "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1);"
      "CREATE TABLE children (id bigint, parent int REFERENCES parents DEFERRABLE INITIALLY "
      "DEFERRED, seq bigserial)");
  for (const bool copy : {true, false}) {
    claim(0);
    database_.execute("TRUNCATE children; TRUNCATE penstock.dead_letters");
    TestLane lane(by(copy, "children"), record_, in_flight_);
    BatchBuilder batch = builder(0, 1, 0);
    for (int i = 0; i < 1000; ++i) batch.row({int8(i), int4(i == 400 || i == 999 ? 2 : 1)});
    lane.push(batch.build());
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(30)));
    EXPECT_EQ(database_.number("SELECT count(*) FROM children"), 998);
    EXPECT_EQ(database_.number("SELECT count(*) FROM penstock.dead_letters WHERE sqlstate = "
                               "'23503' AND \"offset\" IN (400, 999)"),
              2);
    EXPECT_EQ(position(0), 1000);
    database_.execute("DELETE FROM penstock.offsets");
  }
}

TEST_F(RefusalTest, ARowThatOnlyADeferredConstraintAllowsSurvivesItsNeighboursRefusal) {
  // Row 0 refers to row 1, which comes later in the same transaction; row 2 breaks the CHECK.
  database_.execute(
      "CREATE TABLE tree (id bigint PRIMARY KEY CHECK (id < 100), parent bigint REFERENCES tree "
      "DEFERRABLE INITIALLY DEFERRED, seq bigserial)");
  claim(0);
  TestLane lane(options("tree"), record_, in_flight_);
  lane.push(builder(0, 1, 0)
                .row({int8(1), int8(2)})
                .row({int8(2), std::nullopt})
                .row({int8(100), std::nullopt})
                .build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("tree"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(dead_letters(), 1);
}

TEST_F(RefusalTest, ATriggersOwnRefusalIsARefusal) {
  database_.execute(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.amount = 13 THEN RAISE EXCEPTION 'unlucky'; END IF; "
      "IF NEW.amount = 14 THEN RAISE EXCEPTION 'own' USING ERRCODE = 'AB123'; END IF; "
      "RETURN NEW; END $$;"
      "CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 20));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.value("SELECT string_agg(sqlstate || ' ' || message, ', ' ORDER BY "
                            "\"offset\") FROM penstock.dead_letters"),
            "P0001 unlucky [PL/pgSQL function refuse() line 1 at RAISE], "
            "AB123 own [PL/pgSQL function refuse() line 1 at RAISE]");
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 18);
}

TEST_F(RefusalTest, ARowTooBigForItsIndexIsARefusal) {
  database_.execute("CREATE INDEX ON t (name)");
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  std::string noise;  // incompressible, above a third of a page
  std::uint32_t state = 1;
  for (int i = 0; i < 9000; ++i) {
    state = state * 1664525U + 1013904223U;
    noise += static_cast<char>('0' + (state >> 24U) % 64U);
  }
  lane.push(builder(0, 1, 0)
                .row({int8(1), text("fine"), int4(1)})
                .row({int8(2), text(noise), int4(1)})
                .build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(database_.value("SELECT sqlstate || reason FROM penstock.dead_letters"),
            "54000row_too_big");
}

TEST_F(RefusalTest, BadBytesAndBadLengthsAreRefusals) {
  database_.execute("CREATE TABLE short (id bigint, name varchar(3), seq bigserial)");
  for (const bool copy : {true, false}) {
    claim(0);
    database_.execute("TRUNCATE short; TRUNCATE penstock.dead_letters");
    TestLane lane(by(copy, "short"), record_, in_flight_);
    lane.push(builder(0, 1, 0)
                  .row({int8(1), text("abc")})
                  .row({int8(2), text("abcd")})
                  .row({int8(3), text("\xff")})
                  .row({int8(4), text("ab ")})
                  .row({text("x"), text("a")})
                  .build());
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(ids("short"), (std::vector<std::int64_t>{1, 4})) << copy;
    EXPECT_EQ(database_.value("SELECT string_agg(\"offset\" || ' ' || sqlstate, ', ' ORDER BY "
                              "\"offset\") FROM penstock.dead_letters"),
              "1 22001, 2 22021, 4 08P01");
    database_.execute("DELETE FROM penstock.offsets");
  }
}

TEST_F(RefusalTest, AlternatingShapesWithPoison) {
  claim(0);
  TestLane lane(by(kCopy), record_, in_flight_);
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 600; ++i) {
    const auto name = text(i % 100 == 7 ? "bad" : "good");
    if (i % 2 == 0) {
      batch.shape({0, 1, 2}).row({int8(i), name, int4(i)});
    } else {
      batch.shape({0, 1}).row({int8(i), name});
    }
  }
  lane.push(batch.build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids().size(), 594U);
  EXPECT_TRUE(std::ranges::is_sorted(ids()));
  EXPECT_EQ(dead_letters(), 6);
}

}  // namespace
}  // namespace penstock::write
