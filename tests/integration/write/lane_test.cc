#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <ranges>

#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

std::vector<std::int64_t> numbers(std::int64_t from, std::int64_t count) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), from);
  return result;
}

class LaneTest : public WriteTest {};

TEST_F(LaneTest, CommitsAFewRowsInOneRoundTrip) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 3));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 3; }));
  EXPECT_FALSE(record_.commits().front().by_copy);
  EXPECT_EQ(ids(), numbers(0, 3));
  EXPECT_EQ(position(0), 3);
}

TEST_F(LaneTest, WritesAPartitionedTableThroughItsParent) {
  database_.execute(
      "CREATE TABLE parts (id bigint, at date, seq bigserial) PARTITION BY RANGE (at);"
      "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO "
      "('2027-01-01')");
  claim(0);
  TestLane lane(options("parts"), record_, in_flight_);
  lane.start();
  // Days since 2000-01-01; the second row has no partition to go to.
  lane.push(builder(0, 1, 0).row({int8(1), int4(9600)}).row({int8(2), int4(0)}).build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("parts"), std::vector<std::int64_t>{1});
  EXPECT_EQ(database_.value("SELECT sqlstate FROM penstock.dead_letters"), "23514");
}

TEST_F(LaneTest, CommitsManyRowsByCopy) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 3000));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 3000; }));
  EXPECT_TRUE(record_.commits().front().by_copy);
  EXPECT_EQ(ids(), numbers(0, 3000));
  EXPECT_EQ(position(0), 3000);
}

TEST_F(LaneTest, TakesWhatWaitsAsOneTransactionInOrder) {
  claim(0);
  claim(1);
  TestLane lane(options(), record_, in_flight_);
  for (Offset from = 0; from < 100; from += 10) {
    lane.push(rows(0, from, 10));
    lane.push(rows(1, from, 10));
  }
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 200; }));
  EXPECT_EQ(record_.commits().size(), 1U);
  EXPECT_EQ(position(0), 100);
  EXPECT_EQ(position(1), 100);
  const auto all = ids();
  EXPECT_TRUE(std::ranges::is_sorted(all | std::views::filter([](auto id) { return id < 1000; })));
}

TEST_F(LaneTest, StaysBelowMaxRowsButAlwaysTakesABatch) {
  claim(0);
  Options small = options();
  small.writer.max_rows = 5;
  TestLane lane(small, record_, in_flight_);
  lane.push(rows(0, 0, 3));
  lane.push(rows(0, 3, 3));
  lane.push(rows(0, 6, 20));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 26; }));
  EXPECT_EQ(record_.commits().size(), 3U);
  EXPECT_EQ(ids(), numbers(0, 26));
}

TEST_F(LaneTest, BothMethodsWriteTheSameRows) {
  database_.execute(
      "CREATE TYPE mood AS ENUM ('sad', 'ok');"
      "CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
      "CREATE TABLE wide (id bigint, name varchar(10), mood mood, positive positive, data jsonb, "
      "  fixed char(5), price numeric(6,2), raw bytea, seq bigserial)");
  claim(0);
  claim(1);
  const std::string jsonb = std::string("\x01") + R"({"a": [1, null]})";
  // numeric 12.345: two groups of four digits before and after the point.
  const std::string numeric{"\0\2\0\0\0\0\0\3\0\x0c\x0d\x7a", 12};
  for (const std::int32_t partition : {0, 1}) {
    TestLane lane(by(/*copy=*/partition == 0, "wide"), record_, in_flight_);
    lane.start();
    BatchBuilder batch = builder(partition, 1, 0);
    for (int i = 0; i < 200; ++i) {
      batch.row({int8(i), i % 3 == 0 ? Field() : text("ü" + std::to_string(i)),
                 text(i % 2 == 0 ? "sad" : "ok"), int4(i + 1), jsonb, text("ab"), numeric,
                 text(std::string("\0\xff\n", 3))});
    }
    lane.push(batch.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
    ASSERT_EQ(record_.commits().back().by_copy, partition == 0);
    if (partition == 0) database_.execute("CREATE TABLE first AS TABLE wide; TRUNCATE wide");
  }
  EXPECT_EQ(record_.committed_rows(), 400U);
  const std::string columns = "id, name, mood, positive, data, fixed, price, raw";
  EXPECT_EQ(database_.number("SELECT count(*) FROM (SELECT " + columns +
                             " FROM first INTERSECT SELECT " + columns + " FROM wide) same"),
            200);
  EXPECT_EQ(database_.value("SELECT price FROM wide LIMIT 1"), "12.35");
}

TEST_F(LaneTest, WritesArraysByBothMethods) {
  database_.execute("CREATE TABLE arrays (id bigint, list int[], seq bigserial)");
  claim(0);
  claim(1);
  // {7, NULL}: one dimension, has nulls, element type int4 (23), two elements from 1.
  const std::string list{
      "\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\7\xff\xff\xff\xff", 32};
  for (const std::int32_t partition : {0, 1}) {
    TestLane lane(by(/*copy=*/partition == 0, "arrays"), record_, in_flight_);
    lane.start();
    BatchBuilder batch = builder(partition, 1, 0);
    for (int i = 0; i < 100; ++i) batch.row({int8(i), list});
    lane.push(batch.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM arrays WHERE list = '{7,NULL}'"), 200);
}

// 31, 32, 33 … of them: some together in a statement, and what is left over.
TEST_F(LaneTest, WritesTextsAndArraysOfAnyNumberOfRows) {
  database_.execute(
      "CREATE EXTENSION isn; CREATE TABLE texts (id bigint, at point, list int[], code isbn, "
      "seq bigserial)");
  claim(0);
  const std::string list{
      "\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\7\xff\xff\xff\xff", 32};
  Offset next = 0;
  for (const int count : {1, 2, 31, 32, 33, 64, 95, 700}) {
    TestLane lane(by(/*copy=*/true, "texts"), record_, in_flight_);
    lane.start();
    BatchBuilder batch = builder(0, 1, next);
    for (int i = 0; i < count; ++i, ++next) {
      const Field at = next % 5 == 0 ? Field() : text("(" + std::to_string(next) + ",1)" + '\0');
      batch.row({int8(next), at, list, Field()});  // an isbn has no binary format
    }
    lane.push(batch.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(
        database_.number("SELECT count(*) FROM texts WHERE list = '{7,NULL}' AND seq = id + 1 "
                         "AND at[0] IS NOT DISTINCT FROM CASE WHEN id % 5 <> 0 THEN id END"),
        next);
  }
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(LaneTest, LeavesOutColumnsSoThatTheirDefaultHolds) {
  database_.execute(
      "CREATE TABLE defaults (id bigint DEFAULT 42, name text DEFAULT 'none', seq bigserial)");
  claim(0);
  claim(1);
  for (const std::int32_t partition : {0, 1}) {
    TestLane lane(by(/*copy=*/partition == 0, "defaults"), record_, in_flight_);
    lane.start();
    BatchBuilder batch = builder(partition, 1, 0);
    for (int i = 0; i < 100; ++i) batch.shape({0}).row({int8(i)});
    for (int i = 100; i < 200; ++i) batch.shape({0, 1}).row({int8(i), std::nullopt});
    for (int i = 200; i < 300; ++i) batch.shape({1}).row({text("x")});
    lane.push(batch.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name = 'none'"), 200);
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name IS NULL"), 200);
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name = 'x' AND id = 42"), 200);
  EXPECT_EQ(record_.commits().front().by_copy, true);
}

TEST_F(LaneTest, KeepsTheOrderOfRowsWhoseShapesAlternate) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  BatchBuilder batch = builder(0, 1, 0);
  for (int i = 0; i < 2000; ++i) {
    if (i % 2 == 0) {
      batch.shape({0, 1, 2}).row({int8(i), text("even"), int4(i)});
    } else {
      batch.shape({0, 1}).row({int8(i), text("odd")});
    }
  }
  lane.push(batch.build());
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 2000; }));
  EXPECT_EQ(ids(), numbers(0, 2000));
}

TEST_F(LaneTest, WritesRowsOfDefaultsOnly) {
  database_.execute("CREATE TABLE nothing (id bigint DEFAULT 7, seq bigserial)");
  claim(0);
  TestLane lane(by(/*copy=*/true, "nothing"), record_, in_flight_);
  lane.start();
  lane.push(builder(0, 1, 0).row({}).row({}).build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM nothing WHERE id = 7"), 2);
}

TEST_F(LaneTest, CommitsAPositionWithoutRows) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(builder(0, 1, 0).filtered().filtered().build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 2);
}

TEST_F(LaneTest, KeepsTheOriginalBytesOfDeadLetters) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  std::string huge(10'000'000, '\0');
  huge.back() = '\xff';
  lane.push(builder(0, 1, 0)
                .reject(Stage::parse, "invalid_json", "no \xff value \n here", "{\"a\":", true)
                .row({int8(1), text("good"), int4(1)})
                .reject(Stage::compute, "no_such_field", "m", std::nullopt)
                .reject(Stage::encode, "out_of_range", "m", huge)
                .build());
  ASSERT_TRUE(lane.close(in_seconds(30)));
  ASSERT_EQ(record_.committed_batches(), 1U);
  EXPECT_EQ(record_.commits().front().dead_letters, 3U);
  EXPECT_EQ(record_.commits().front().refused_records, 0U);
  EXPECT_EQ(position(0), 4);
  const auto letters = database_.query(
      "SELECT pipeline, topic, partition, \"offset\", \"timestamp\", key, convert_from(value, "
      "'UTF8'), headers, stage, reason, sqlstate, message FROM penstock.dead_letters "
      "WHERE \"offset\" = 0");
  ASSERT_EQ(letters.size(), 1U);
  const auto& letter = letters.front();
  EXPECT_EQ(letter[1], "orders");
  EXPECT_EQ(letter[4], std::nullopt);
  EXPECT_EQ(letter[5], std::nullopt);
  EXPECT_EQ(letter[6], "{\"a\":");
  EXPECT_EQ(letter[7],
            R"([{"name": "plain", "value": "dmFsdWU="}, )"
            R"({"name": "odd��\"\\\n", "value": null}, {"name": "empty", "value": ""}])");
  EXPECT_EQ(letter[8], "parse");
  EXPECT_EQ(letter[10], std::nullopt);
  EXPECT_EQ(letter[11], "no � value \n here");
  EXPECT_EQ(database_.number("SELECT count(*) FROM penstock.dead_letters WHERE value IS NULL"), 1);
  EXPECT_EQ(database_.number("SELECT length(value) FROM penstock.dead_letters "
                             "WHERE \"offset\" = 3 AND get_byte(value, 9999999) = 255"),
            10'000'000);
}

TEST_F(LaneTest, FillsTheTraceOfEachBatch) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  const BatchTrace trace = record_.traces().at(0);
  EXPECT_GT(trace.write_begin, SteadyTime{});
  EXPECT_GT(trace.commit_end, trace.write_begin);
}

TEST_F(LaneTest, SaysHowFarAChainHasComeBeforeItTellsOfTheCommit) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 7));
  ASSERT_TRUE(soon([&] { return record_.committed_batches() == 1; }));
  EXPECT_EQ(chain(0)->committed(), 7);
}

TEST_F(LaneTest, AHurriedChainDoesNotWaitForMaxWait) {
  claim(0);
  Options patient = options();
  patient.writer.max_wait = 60s;
  TestLane lane(patient, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 3));
  ASSERT_TRUE(soon([&] { return lane.status().connected; }));
  EXPECT_EQ(record_.committed_rows(), 0U);
  chain(0)->hurry();
  lane.writer().wake();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 3; }));
  lane.push(rows(0, 3, 2));  // and nothing of it waits from now on
  EXPECT_TRUE(soon([&] { return record_.committed_rows() == 5; }));
}

TEST_F(LaneTest, MaxWaitGathersRows) {
  claim(0);
  Options patient = options();
  patient.writer.max_wait = 60s;
  patient.writer.max_rows = 20;
  TestLane lane(patient, record_, in_flight_);
  lane.start();
  for (Offset from = 0; from < 20; from += 5) lane.push(rows(0, from, 5));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; }));
  EXPECT_EQ(record_.commits().size(), 1U);
}

TEST_F(LaneTest, DropsWhatIsQueuedOfAnEndedChainAndWhatComesLater) {
  claim(0, 2);
  claim(1);
  Options patient = options();
  patient.writer.max_wait = 60s;
  TestLane lane(patient, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 3, /*epoch=*/1));
  lane.push(rows(1, 0, 3));
  const auto old = chain(0);
  old->end(ChainEnd::revoked);
  lane.writer().wake();
  ASSERT_TRUE(soon([&] { return lane.counters().batches_dropped.value() == 1; }));
  lane.push(BatchBuilder(old, in_flight_, 3).row({int8(3), text("x"), int4(0)}).build());
  ASSERT_TRUE(soon([&] { return lane.counters().batches_dropped.value() == 2; }));
  EXPECT_EQ(old->batches_in_flight(), 0);
  chain(0, 2)->hurry();
  chain(1)->hurry();
  lane.push(rows(0, 0, 2, /*epoch=*/2));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 2);
  EXPECT_EQ(position(1), 3);
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 5);
}

TEST_F(LaneTest, DropsWhatComesAfterItWasStopped) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.start();
  lane.push(rows(0, 0, 100));
  EXPECT_TRUE(lane.close(in_seconds(20)));
  lane.stop();
  EXPECT_EQ(position(0), 100);
  lane.push(rows(0, 100, 1));
  EXPECT_EQ(lane.counters().batches_dropped.value(), 1U);
  EXPECT_EQ(in_flight_.batches(), 0);
}

TEST_F(LaneTest, StopDropsWhatIsQueuedAndMayBeRepeated) {
  claim(0);
  Options patient = options();
  patient.writer.max_wait = 60s;
  TestLane lane(patient, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 100));
  lane.stop();
  lane.stop();
  lane.start();
  EXPECT_EQ(lane.counters().batches_dropped.value(), 1U);
  EXPECT_EQ(position(0), 0);
  EXPECT_EQ(in_flight_.batches(), 0);
}

TEST_F(LaneTest, StopOfALaneThatNeverStartedDropsItsQueue) {
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 1));
  lane.stop();
  EXPECT_EQ(in_flight_.batches(), 0);
}

TEST_F(LaneTest, StopCancelsAStatementThatIsBlockedOnALock) {
  claim(0);
  database_.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  {
    Options chosen = options();
    chosen.lanes.lock_timeout = 60s;
    TestLane lane(chosen, record_, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 1));
    ASSERT_TRUE(soon([&] { return table_locks_waited_for() > 0; }));
    const auto begin = std::chrono::steady_clock::now();
    lane.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  }
  EXPECT_TRUE(soon([&] { return table_locks_waited_for() == 0; }));
  database_.execute("COMMIT");
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 0);
  EXPECT_EQ(in_flight_.batches(), 0);
}

TEST_F(LaneTest, ItsSessionIsRecognisable) {
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  EXPECT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_stat_activity "
               "WHERE application_name = 'penstock/lane-0' AND datname = current_database()") == 1;
  }));
  EXPECT_TRUE(soon([&] { return lane.status().heartbeat_age < 2s; }));
}

}  // namespace
}  // namespace penstock::write
