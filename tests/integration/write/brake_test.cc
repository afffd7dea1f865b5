// A partition of which too much is rejected stops before it is dead letters; the others go on.
#include <gtest/gtest.h>

#include <string>

#include "write_fixture.h"

namespace penstock::write {
namespace {

class BrakeTest : public WriteTest {
 protected:
  // `good` rows, then `bad` records that were rejected before, and good ones again.
  std::unique_ptr<RowBatch> batch(std::int32_t partition, Offset from, int good, int bad,
                                  int after = 0) {
    BatchBuilder made = builder(partition, 1, from);
    const auto add = [&](int rows) {
      for (int i = 0; i < rows; ++i) {
        const Offset offset = made.next_offset();
        made.row({int8(partition * 1'000'000 + offset), text("good"), int4(1)});
      }
    };
    add(good);
    for (int i = 0; i < bad; ++i) {
      made.reject(Stage::encode, "missing_field", "there is no 'tenant'", "{}");
    }
    add(after);
    return made.build();
  }
  // That the table's CHECK refuses.
  std::unique_ptr<RowBatch> flood(std::int32_t partition, Offset from, int rows) {
    BatchBuilder made = builder(partition, 1, from);
    for (int i = 0; i < rows; ++i) {
      made.row({int8(partition * 1'000'000 + from + i), text("bad"), int4(1)});
    }
    return made.build();
  }
  // `rows` of which each third is refused, not for one cause.
  std::unique_ptr<RowBatch> refused(Offset from, int rows) {
    BatchBuilder made = builder(0, 1, from);
    for (int i = 0; i < rows; ++i) {
      const bool is_bad = i % 3 == 0;
      const bool is_null = i % 2 == 0;
      made.row({int8(from + i), !is_bad ? text("good") : is_null ? Field() : text("bad"), int4(1)});
    }
    return made.build();
  }
};

TEST_F(BrakeTest, WhatComesBeforeIsCommittedAndNothingAfter) {
  claim(0);
  claim(1);
  TestLane lane(options(), record_, in_flight_);
  lane.push(batch(0, 0, 500, 0));
  lane.push(batch(0, 500, 100, 20, 100));  // a few are no reason to stop
  lane.push(batch(0, 720, 300, 400, 10));
  lane.push(batch(0, 1430, 10, 0));
  lane.push(batch(1, 0, 50, 30, 50));
  lane.start();
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  ASSERT_TRUE(soon([&] { return in_flight_.batches() == 0; }));
  EXPECT_EQ(position(0), 720 + 300 + 49);
  EXPECT_EQ(position(1), 130) << "the other partition goes on";
  EXPECT_EQ(dead_letters(), 20 + 49 + 30);
  ASSERT_EQ(record_.too_many().size(), 1U);
  const auto [partition, error] = record_.too_many().front();
  EXPECT_EQ(partition.partition, 0);
  EXPECT_TRUE(error.message.contains("offset 1069 of orders[0]")) << error.message;
  EXPECT_EQ(chain(1)->ended(), ChainEnd::running);
  EXPECT_NE(record_.doubted_plan(), nullptr) << "the table is looked at again";
}

TEST_F(BrakeTest, RowsThatPostgresqlRefusesCountToo) {
  for (const std::size_t copy_from : {std::size_t{1}, std::size_t{1'000'000}}) {
    database_.execute("TRUNCATE t, penstock.dead_letters; DELETE FROM penstock.offsets");
    chains_.clear();
    claim(0);
    Record record;
    Options chosen = options();
    chosen.writer.copy_from_rows = copy_from;
    TestLane lane(chosen, record, in_flight_);
    lane.push(refused(0, 600));
    lane.start();
    ASSERT_TRUE(soon([&] { return !record.too_many().empty(); }));
    ASSERT_TRUE(soon([&] { return in_flight_.batches() == 0; }));
    EXPECT_EQ(dead_letters(), 49);
    EXPECT_EQ(position(0), 147);
    EXPECT_EQ(ids().size(), 98U);
    const std::string message = record.too_many().front().second.message;
    EXPECT_FALSE(message.contains("row contains")) << message;
    EXPECT_TRUE(message.contains("by write (check_violation: 23514, constraint \"t_")) << message;
    EXPECT_TRUE(message.contains(" of table \"t\")")) << message;
  }
}

TEST_F(BrakeTest, WhatAPersonAcceptsBecomesDeadLettersAlsoIfATableRefusesAll) {
  claim(0);
  database_.execute("ALTER TABLE t ADD CONSTRAINT shut CHECK (id < 100)");
  Options chosen = options();
  TestLane lane(chosen, record_, in_flight_);
  lane.push(rows(0, 0, 1000));
  lane.push(batch(0, 1000, 0, 500));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(dead_letters(), 0);
  lane.retry_now(/*accept_rejects=*/true);
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(dead_letters(), 1400);
  EXPECT_EQ(position(0), 1500);
  EXPECT_TRUE(record_.too_many().empty());
}

TEST_F(BrakeTest, AFloodOfOnePartitionStopsItAndNoOther) {
  for (const bool copy : {true, false}) {
    begin_anew();
    claim(1);
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.push(flood(0, 0, 1000));
    lane.push(rows(1, 0, 300));
    lane.start();
    ASSERT_TRUE(soon([&] { return !record.too_many().empty(); }));
    lane.push(rows(1, 300, 10));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(record.too_many().front().first.partition, 0);
    EXPECT_EQ(position(1), 310);
    EXPECT_EQ(dead_letters(), 49);
    EXPECT_EQ(position(0), 49);
    EXPECT_TRUE(record.stalls().empty()) << "the others went on";
  }
}

TEST_F(BrakeTest, AFloodWhileNothingComesOfOthersStopsItsPartitionAndCostsNoRecord) {
  claim(0);
  claim(1);
  TestLane lane(options(), record_, in_flight_);
  lane.adopt(chain(1));
  lane.push(flood(0, 0, 1000));
  lane.start();
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  const auto [partition, error] = record_.too_many().front();
  EXPECT_EQ(partition.partition, 0);
  EXPECT_TRUE(error.message.contains("the table refuses most rows")) << error.message;
  EXPECT_TRUE(error.message.contains("partition 0, offset ")) << error.message;
  EXPECT_TRUE(error.hint.contains("--accept-rejects")) << error.hint;
  lane.push(rows(1, 0, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(1), 10);
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_EQ(position(0), 0);
  EXPECT_TRUE(record_.stalls().empty());
}

TEST_F(BrakeTest, ATableThatRefusesWhatAllPartitionsHaveIsToBlameItself) {
  claim(0);
  claim(1);
  claim(2);
  database_.execute("ALTER TABLE t ADD CONSTRAINT shut CHECK (amount < 0)");
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 1000));
  lane.push(rows(1, 0, 3));  // too few to show anything by themselves
  lane.push(rows(2, 0, 200));
  lane.start();
  ASSERT_TRUE(soon([&] { return record_.stall().has_value(); }));
  EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
  EXPECT_EQ(dead_letters(), 0);
  database_.execute("ALTER TABLE t DROP CONSTRAINT shut");
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_TRUE(record_.too_many().empty());
  EXPECT_EQ(ids().size(), 1203U);
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(BrakeTest, AFloodThatWasStoppedStopsAgainWithoutANeighbourAndCostsNothing) {
  claim(0);
  Options chosen = options();
  TestLane lane(chosen, record_, in_flight_);
  const std::shared_ptr<Chain> tried = chain(0);  // as its claim begins it
  for (int i = 0; i < 49; ++i) tried->rejects.reject();
  lane.push(flood(0, 0, 1000));
  lane.start();
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_TRUE(record_.stalls().empty());
}

TEST_F(BrakeTest, AtZeroItStopsBeforeTheFirst) {
  claim(0);
  Options chosen = options();
  chosen.writer.reject_limit = 1;
  TestLane lane(chosen, record_, in_flight_);
  lane.push(batch(0, 0, 10, 1, 10));
  lane.start();
  ASSERT_TRUE(soon([&] { return !record_.too_many().empty(); }));
  EXPECT_EQ(position(0), 10);
  EXPECT_EQ(dead_letters(), 0);
}

}  // namespace
}  // namespace penstock::write
