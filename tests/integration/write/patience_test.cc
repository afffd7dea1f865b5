// Records that PostgreSQL refuses now and takes a little later: `dead_letters.retry_for`.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

class PatienceTest : public WriteTest {
 protected:
  PatienceTest() {
    database_.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id bigint PRIMARY KEY, "
        "name text NOT NULL, parent int REFERENCES parent, seq bigserial)");
    database_.execute("INSERT INTO parent VALUES (1)");
  }
  Options patient(std::chrono::milliseconds limit, const std::string& sqlstate = "23503",
                  const std::string& table = "child") {
    Options chosen = options(table);
    chosen.writer.retry_for = {{sqlstate, limit}};
    return chosen;
  }
  // A child of each of these parents, from an offset on.
  std::unique_ptr<RowBatch> children(std::int32_t partition, Offset from,
                                     const std::vector<int>& parents) {
    BatchBuilder made = builder(partition, 1, from);
    for (const int parent : parents) {
      made.row({int8(partition * 1000 + made.next_offset()), text("child"), int4(parent)});
    }
    return made.build();
  }
  bool waits(std::int32_t partition) { return chain(partition)->waits(); }
};

TEST_F(PatienceTest, ARowWhoseParentComesInTimeIsWrittenInItsOrderAndIsNoDeadLetter) {
  for (const bool copy : {true, false}) {
    begin_anew("child");
    database_.execute("DELETE FROM parent WHERE id = 2");
    claim(1);
    Record record;
    Options chosen = patient(60s);
    chosen.writer.copy_from_rows = copy ? 1 : 1'000'000;
    TestLane lane(chosen, record, in_flight_);
    lane.push(children(0, 0, {1, 1, 2, 1, 2, 1}));
    lane.push(children(0, 6, {1}));
    lane.push(children(1, 0, {1, 1}));
    lane.start();
    ASSERT_TRUE(soon([&] { return waits(0) && position(1) == 2; }));
    lane.push(children(1, 2, {1, 1, 1}));
    lane.push(children(0, 7, {1}));
    ASSERT_TRUE(soon([&] { return position(1) == 5; })) << "the other partition goes on";
    EXPECT_EQ(position(0), 2) << "what is behind it waits";
    const std::string why = chain(0)->waiting_reason();
    EXPECT_TRUE(why.contains("offset 2 of orders[0]")) << why;
    EXPECT_TRUE(why.contains("23503 foreign_key_violation, constraint \"child_parent_fkey\""))
        << why;
    EXPECT_TRUE(why.contains("tried again until 2")) << why;
    EXPECT_FALSE(waits(1));
    database_.execute("INSERT INTO parent VALUES (2)");
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(position(0), 8);
    EXPECT_EQ(dead_letters(), 0);
    EXPECT_EQ(chain(0)->waiting_reason(), "");
    std::vector<std::int64_t> of_0;
    for (const std::int64_t id : ids("child")) {
      if (id < 1000) of_0.push_back(id);
    }
    EXPECT_EQ(of_0, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_TRUE(record.stalls().empty());
  }
}

TEST_F(PatienceTest, ARowWhoseParentDoesNotComeIsADeadLetterThatSaysHowLongItWasTried) {
  claim(0);
  TestLane lane(patient(700ms), record_, in_flight_);
  lane.push(children(0, 0, {1, 1, 7, 1}));
  lane.start();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 690ms);
  EXPECT_EQ(position(0), 4);
  EXPECT_EQ(ids("child"), (std::vector<std::int64_t>{0, 1, 3}));
  EXPECT_EQ(database_.value("SELECT \"offset\" || sqlstate FROM penstock.dead_letters"), "223503");
  // Not in a busy loop: at least 20 ms lie between two tries.
  EXPECT_TRUE(database_.value("SELECT message FROM penstock.dead_letters")
                  .contains(" s, by dead_letters.retry_for"));
  EXPECT_EQ(database_.value("SELECT attempts BETWEEN 3 AND 40 FROM penstock.dead_letters"), "t")
      << database_.value("SELECT attempts FROM penstock.dead_letters");
  EXPECT_EQ(database_.value("SELECT last_seen_at - first_seen_at BETWEEN interval '650 ms' AND "
                            "interval '10 s' FROM penstock.dead_letters"),
            "t")
      << database_.value("SELECT last_seen_at - first_seen_at FROM penstock.dead_letters");
}

TEST_F(PatienceTest, WhatWasRefusedTogetherIsOverTogether) {
  claim(0);
  TestLane lane(patient(1s), record_, in_flight_);
  std::vector<int> parents(60, 1);
  for (int i = 5; i < 15; ++i) parents[static_cast<std::size_t>(i)] = 7;
  lane.push(children(0, 0, parents));
  lane.start();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "and not one after the other";
  EXPECT_EQ(position(0), 60);
  EXPECT_EQ(dead_letters(), 10);
}

TEST_F(PatienceTest, APartitionThatIsMadeInTimeTakesItsRow) {
  database_.execute(
      "CREATE TABLE days (id bigint, name text, day int, seq bigserial) PARTITION BY LIST (day); "
      "CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1)");
  claim(0);
  TestLane lane(patient(60s, "23", "days"), record_, in_flight_);
  lane.push(children(0, 0, {1, 2, 1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0); }));
  database_.execute("CREATE TABLE days_2 PARTITION OF days FOR VALUES IN (2)");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("days"), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(PatienceTest, ADeferredConstraintIsWaitedForToo) {
  database_.execute(
      "ALTER TABLE child ALTER CONSTRAINT child_parent_fkey DEFERRABLE INITIALLY DEFERRED");
  claim(0);
  TestLane lane(patient(60s), record_, in_flight_);
  lane.push(children(0, 0, {1, 2, 1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0) && position(0) == 1; }));
  database_.execute("INSERT INTO parent VALUES (2)");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("child"), (std::vector<std::int64_t>{0, 1, 2}));
}

TEST_F(PatienceTest, OtherRefusalsBeforeAndBehindAreDeadLettersInTheirTurn) {
  claim(0);
  TestLane lane(patient(60s), record_, in_flight_);
  BatchBuilder made = builder(0, 1, 0);
  made.row({int8(0), Field(), int4(1)});  // there is no name
  made.row({int8(1), text("child"), int4(2)});
  made.row({int8(2), Field(), int4(1)});
  made.filtered();
  made.row({int8(4), text("child"), int4(1)});
  lane.push(made.build());
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0) && position(0) == 1; }));
  EXPECT_EQ(dead_letters(), 1);
  database_.execute("INSERT INTO parent VALUES (2)");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("child"), (std::vector<std::int64_t>{1, 4}));
  EXPECT_EQ(database_.value("SELECT string_agg(attempts::text, ',') FROM penstock.dead_letters "
                            "WHERE \"offset\" = 0"),
            "1")
      << "that one did not wait";
  EXPECT_EQ(dead_letters(), 2);
}

TEST_F(PatienceTest, AFloodOfThemStopsItsPartitionAtItsBrakeWhenTheirTimeIsOver) {
  claim(0);
  claim(1);
  Options chosen = patient(500ms);
  chosen.writer.reject_limit = 3;
  TestLane lane(chosen, record_, in_flight_);
  lane.push(children(0, 0, {1, 7, 7, 7, 7, 1}));
  lane.push(children(1, 0, {1, 1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.too_many().front().first.partition, 0);
  EXPECT_EQ(dead_letters(), 2);
  EXPECT_EQ(position(0), 3);
  EXPECT_EQ(position(1), 2);
}

TEST_F(PatienceTest, WhoWaitsForWhatIsInFlightDoesNotWaitForARecord) {
  claim(0);
  claim(1);
  TestLane lane(patient(1h), record_, in_flight_);
  lane.push(children(0, 0, {1, 7, 1}));
  lane.push(children(0, 3, {1, 1}));
  lane.push(children(1, 0, {1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0) && position(1) == 1; }));
  chain(0)->hurry();
  chain(1)->hurry();
  lane.writer().wake();
  ASSERT_TRUE(lane.close(in_seconds(5)));
  ASSERT_EQ(record_.put_off().size(), 1U);
  EXPECT_EQ(record_.put_off().front().partition, 0);
  EXPECT_EQ(position(0), 1);
  EXPECT_EQ(dead_letters(), 0) << "it is read again";
}

TEST_F(PatienceTest, ADetachedWriterDropsWhatIsHeld) {
  claim(0);
  TestLane lane(patient(1h), record_, in_flight_);
  lane.push(children(0, 0, {1, 7, 1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0); }));
  lane.writer().detach();
  EXPECT_EQ(in_flight_.batches(), 0);
  EXPECT_EQ(position(0), 1);
}

TEST_F(PatienceTest, AResumeTriesAtOnceAndAnEndedChainIsForgotten) {
  claim(0);
  TestLane lane(patient(1h), record_, in_flight_);
  lane.push(children(0, 0, {7, 1}));
  lane.start();
  ASSERT_TRUE(soon([&] { return waits(0); }));
  chain(0)->end(ChainEnd::revoked);
  lane.writer().wake();
  ASSERT_TRUE(soon([&] { return in_flight_.batches() == 0; }));
  database_.execute("INSERT INTO parent VALUES (7)");
  claim(0, 2, 0);
  BatchBuilder made = builder(0, 2, 0);
  made.row({int8(0), text("child"), int4(7)});
  lane.push(made.build());
  lane.retry_now();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("child"), (std::vector<std::int64_t>{0}));
}

}  // namespace
}  // namespace penstock::write
