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
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 3));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 3; }));
  EXPECT_FALSE(record_.commits().front().by_copy);
  EXPECT_EQ(ids(), numbers(0, 3));
  EXPECT_EQ(position(0), 3);
}

TEST_F(LaneTest, CommitsManyRowsByCopy) {
  claim(0);
  Lane lane(options(), record_.hooks());
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
  Lane lane(options(), record_.hooks());
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
  LaneOptions small = options();
  small.max_rows = 5;
  Lane lane(small, record_.hooks());
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
    LaneOptions by = options("wide");
    by.copy_from_rows = partition == 0 ? 1 : 1'000'000;
    Lane lane(by, record_.hooks());
    lane.start();
    BatchBuilder builder(partition, 1, 0);
    for (int i = 0; i < 200; ++i) {
      builder.row({int8(i), i % 3 == 0 ? Field() : text("ü" + std::to_string(i)),
                   text(i % 2 == 0 ? "sad" : "ok"), int4(i + 1), jsonb, text("ab"), numeric,
                   text(std::string("\0\xff\n", 3))});
    }
    lane.push(builder.build());
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
    LaneOptions by = options("arrays");
    by.copy_from_rows = partition == 0 ? 1 : 1'000'000;
    Lane lane(by, record_.hooks());
    lane.start();
    BatchBuilder builder(partition, 1, 0);
    for (int i = 0; i < 100; ++i) builder.row({int8(i), list});
    lane.push(builder.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM arrays WHERE list = '{7,NULL}'"), 200);
}

TEST_F(LaneTest, LeavesOutColumnsSoThatTheirDefaultHolds) {
  database_.execute(
      "CREATE TABLE defaults (id bigint DEFAULT 42, name text DEFAULT 'none', seq bigserial)");
  claim(0);
  claim(1);
  for (const std::int32_t partition : {0, 1}) {
    LaneOptions by = options("defaults");
    by.copy_from_rows = partition == 0 ? 1 : 1'000'000;
    Lane lane(by, record_.hooks());
    lane.start();
    BatchBuilder builder(partition, 1, 0);
    for (int i = 0; i < 100; ++i) builder.shape({0}).row({int8(i)});
    for (int i = 100; i < 200; ++i) builder.shape({0, 1}).row({int8(i), std::nullopt});
    for (int i = 200; i < 300; ++i) builder.shape({1}).row({text("x")});
    lane.push(builder.build());
    ASSERT_TRUE(lane.close(in_seconds(20)));
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name = 'none'"), 200);
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name IS NULL"), 200);
  EXPECT_EQ(database_.number("SELECT count(*) FROM defaults WHERE name = 'x' AND id = 42"), 200);
  EXPECT_EQ(record_.commits().front().by_copy, true);
}

TEST_F(LaneTest, KeepsTheOrderOfRowsWhoseShapesAlternate) {
  claim(0);
  Lane lane(options(), record_.hooks());
  BatchBuilder builder(0, 1, 0);
  for (int i = 0; i < 2000; ++i) {
    if (i % 2 == 0) {
      builder.shape({0, 1, 2}).row({int8(i), text("even"), int4(i)});
    } else {
      builder.shape({0, 1}).row({int8(i), text("odd")});
    }
  }
  lane.push(builder.build());
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 2000; }));
  EXPECT_EQ(ids(), numbers(0, 2000));
}

TEST_F(LaneTest, WritesRowsOfDefaultsOnly) {
  database_.execute("CREATE TABLE nothing (id bigint DEFAULT 7, seq bigserial)");
  claim(0);
  LaneOptions by = options("nothing");
  by.copy_from_rows = 1;
  Lane lane(by, record_.hooks());
  lane.start();
  lane.push(BatchBuilder(0, 1, 0).row({}).row({}).build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM nothing WHERE id = 7"), 2);
}

TEST_F(LaneTest, CommitsAPositionWithoutRows) {
  claim(0);
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.push(BatchBuilder(0, 1, 0).filtered().filtered().build());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 2);
}

TEST_F(LaneTest, KeepsTheOriginalBytesOfDeadLetters) {
  claim(0);
  Lane lane(options(), record_.hooks());
  lane.start();
  std::string huge(10'000'000, '\0');
  huge.back() = '\xff';
  lane.push(BatchBuilder(0, 1, 0)
                .reject(Stage::parse, "invalid_json", "no \xff value \n here", "{\"a\":", true)
                .row({int8(1), text("good"), int4(1)})
                .reject(Stage::compute, "no_such_field", "m", std::nullopt)
                .reject(Stage::encode, "out_of_range", "m", huge)
                .build());
  ASSERT_TRUE(lane.close(in_seconds(30)));
  ASSERT_EQ(record_.committed_batches(), 1U);
  EXPECT_EQ(record_.commits().front().dead_letters, 3U);
  EXPECT_EQ(record_.commits().front().refused_rows, 0U);
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
  LaneHooks hooks = record_.hooks();
  std::atomic<bool> filled = false;
  hooks.on_committed = [&](std::span<std::unique_ptr<RowBatch>> batches, const CommitStats&) {
    const BatchTrace& trace = batches.front()->source->trace;
    filled = trace.write_begin > SteadyTime{} && trace.commit_end > trace.write_begin;
  };
  Lane lane(options(), hooks);
  lane.start();
  lane.push(rows(0, 0, 1));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_TRUE(filled);
}

TEST_F(LaneTest, DrainWaitsForThesePartitionsOnly) {
  claim(0);
  LaneOptions patient = options();
  patient.max_wait = 60s;
  Lane lane(patient, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 3));
  const std::vector<PartitionId> other{{0, 1}};
  EXPECT_TRUE(lane.drain(other, in_seconds(1)));
  const std::vector<PartitionId> mine{{0, 0}};
  EXPECT_TRUE(lane.drain(mine, in_seconds(20)));
  EXPECT_EQ(record_.committed_rows(), 3U);
  EXPECT_EQ(lane.in_flight(), 0U);
}

TEST_F(LaneTest, DrainGivesUpAtItsDeadline) {
  claim(0);
  Lane lane(options(), record_.hooks());
  lane.push(rows(0, 0, 3));  // not started
  const std::vector<PartitionId> mine{{0, 0}};
  EXPECT_FALSE(lane.drain(mine, std::chrono::steady_clock::now() + 20ms));
}

TEST_F(LaneTest, MaxWaitGathersRows) {
  claim(0);
  LaneOptions patient = options();
  patient.max_wait = 60s;
  patient.max_rows = 20;
  Lane lane(patient, record_.hooks());
  lane.start();
  for (Offset from = 0; from < 20; from += 5) lane.push(rows(0, from, 5));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 20; }));
  EXPECT_EQ(record_.commits().size(), 1U);
}

TEST_F(LaneTest, ForgetsWhatIsQueuedAndWhatComesLater) {
  claim(0, 2);
  claim(1);
  LaneOptions patient = options();
  patient.max_wait = 60s;
  Lane lane(patient, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 3, /*epoch=*/1));
  lane.push(rows(1, 0, 3));
  lane.forget({0, 0}, Epoch{1});
  ASSERT_TRUE(soon([&] { return record_.dropped(DropReason::forgotten).size() == 1; }));
  lane.push(rows(0, 3, 3, /*epoch=*/1));
  ASSERT_TRUE(soon([&] { return record_.dropped(DropReason::forgotten).size() == 2; }));
  lane.push(rows(0, 0, 2, /*epoch=*/2));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 2);
  EXPECT_EQ(position(1), 3);
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 5);
}

TEST_F(LaneTest, CloseCommitsWhatIsQueuedAndMayBeRepeated) {
  claim(0);
  Lane lane(options(), record_.hooks());
  lane.start();
  lane.start();
  lane.push(rows(0, 0, 100));
  EXPECT_TRUE(lane.close(in_seconds(20)));
  EXPECT_TRUE(lane.close(in_seconds(20)));
  lane.stop();
  EXPECT_EQ(position(0), 100);
  lane.push(rows(0, 100, 1));
  EXPECT_EQ(record_.dropped(DropReason::stopped).size(), 1U);
}

TEST_F(LaneTest, StopDropsWhatIsQueuedAndMayBeRepeated) {
  claim(0);
  LaneOptions patient = options();
  patient.max_wait = 60s;
  Lane lane(patient, record_.hooks());
  lane.start();
  lane.push(rows(0, 0, 100));
  lane.stop();
  lane.stop();
  lane.start();
  EXPECT_EQ(record_.dropped(DropReason::stopped).size(), 1U);
  EXPECT_EQ(position(0), 0);
  EXPECT_EQ(lane.in_flight(), 0U);
}

TEST_F(LaneTest, StopOfALaneThatNeverStartedDropsItsQueue) {
  Lane lane(options(), record_.hooks());
  lane.push(rows(0, 0, 1));
  lane.stop();
  EXPECT_EQ(record_.dropped(DropReason::stopped).size(), 1U);
}

TEST_F(LaneTest, StopCancelsAStatementThatIsBlockedOnALock) {
  claim(0);
  database_.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  {
    Lane lane(options(), record_.hooks());
    lane.start();
    lane.push(rows(0, 0, 1));
    ASSERT_TRUE(soon(
        [&] { return database_.number("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0; }));
    const auto begin = std::chrono::steady_clock::now();
    lane.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  }
  EXPECT_TRUE(soon(
      [&] { return database_.number("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0; }));
  database_.execute("COMMIT");
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 0);
  EXPECT_EQ(record_.dropped(DropReason::stopped).size(), 1U);
}

TEST_F(LaneTest, ItsSessionIsRecognisable) {
  Lane lane(options(), record_.hooks());
  lane.start();
  EXPECT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_stat_activity "
               "WHERE application_name = 'penstock/p/lane-0'") == 1;
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - lane.heartbeat(), 2s);
}

}  // namespace
}  // namespace penstock::write
