// The fence, and what a lane makes of a COMMIT whose answer it never saw.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "support/tcp_proxy.h"
#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;
using test::TcpProxy;

class FenceTest : public WriteTest {
 protected:
  // The shared cluster's port out of its conninfo.
  static std::uint16_t server_port() {
    const std::string conninfo = test::shared_postgres();
    const std::size_t at = conninfo.find("port=");
    return static_cast<std::uint16_t>(std::stoi(conninfo.substr(at + 5)));
  }
  Options through(const TcpProxy& proxy, bool copy = false) {
    Options chosen = by(copy);
    chosen.lanes.conninfo +=
        " host=127.0.0.1 port=" + std::to_string(proxy.port()) + " sslmode=disable";
    return chosen;
  }
  // Five rows of partition 0 under epoch 1. A lane that has just connected looks by itself where
  // its chains stand: what comes after this is the fence's.
  void begin(TestLane& lane) {
    claim(0, /*epoch=*/1);
    lane.start();
    lane.push(rows(0, 0, 5));
    ASSERT_TRUE(soon([&] { return position(0) == 5; }));
  }
  // Ends with every row there once, whatever happened on the way.
  void expect_exactly_once(int rows) {
    std::vector<std::int64_t> expected;
    for (int i = 0; i < rows; ++i) expected.push_back(i);
    EXPECT_EQ(ids(), expected);
    EXPECT_EQ(position(0), rows);
    EXPECT_EQ(record_.committed_rows(), static_cast<std::uint64_t>(rows));
  }
};

TEST_F(FenceTest, RefusesAnEpochThatWasEvicted) {
  TestLane lane(options(), record_, in_flight_);
  begin(lane);
  claim(0, /*epoch=*/2, 5);
  lane.push(rows(0, 5, 5, /*epoch=*/1));
  lane.push(rows(0, 10, 5, /*epoch=*/1));
  ASSERT_TRUE(soon([&] { return lane.counters().batches_dropped.value() == 2; }));
  ASSERT_EQ(record_.fenced().size(), 1U);
  EXPECT_EQ(record_.fenced()[0].partition, (PartitionId{0, 0}));
  EXPECT_EQ(record_.fenced()[0].mine, 1);
  EXPECT_EQ(record_.fenced()[0].found, 2);
  EXPECT_EQ(record_.fenced()[0].found_offset, 5);
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 5);
  EXPECT_EQ(lane.counters().fenced.value(), 1U);
}

TEST_F(FenceTest, RefusesToBeginWhereThePositionIsNot) {
  TestLane lane(options(), record_, in_flight_);
  begin(lane);
  claim(0, 1, /*next_offset=*/7);
  lane.push(rows(0, 5, 5));
  ASSERT_TRUE(soon([&] { return lane.counters().batches_dropped.value() == 1; }));
  EXPECT_EQ(record_.fenced()[0].found, 1);
  EXPECT_EQ(record_.fenced()[0].found_offset, 7);
  EXPECT_EQ(position(0), 7);
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 5);
}

TEST_F(FenceTest, IsNoticedWhereNothingComesAnyMore) {
  Options often = options();
  often.lanes.verify_every = 100ms;
  TestLane lane(often, record_, in_flight_);
  begin(lane);
  claim(0, 1, /*next_offset=*/2);  // somebody wants it read again from there
  ASSERT_TRUE(soon([&] { return record_.fenced().size() == 1; }));
  EXPECT_EQ(record_.fenced()[0].found, 1);
  EXPECT_EQ(record_.fenced()[0].found_offset, 2);
}

TEST_F(FenceTest, APositionThatIsSetAnewIsToldFromOneThatAnotherTook) {
  for (const bool by_record : {true, false}) {
    for (const bool is_ours : {true, false}) {
      database_.execute("TRUNCATE t; DELETE FROM penstock.offsets");
      Record record;
      Options chosen = options();
      chosen.writer.owner = "here/1";
      chosen.lanes.verify_every = by_record ? 1h : 100ms;
      TestLane lane(chosen, record, in_flight_);
      chains_.clear();
      begin(lane);
      database_.execute("UPDATE penstock.offsets SET epoch = 2, next_offset = 0, owner = '" +
                        std::string(is_ours ? "here/1" : "there/1") + "'");
      if (by_record) lane.push(rows(0, 5, 5));
      ASSERT_TRUE(soon([&] { return record.fenced().size() == 1; }));
      EXPECT_EQ(record.fenced()[0].found, 2);
      EXPECT_EQ(record.fenced()[0].is_reset, is_ours) << by_record;
    }
  }
}

TEST_F(FenceTest, RefusesAPartitionThatWasNeverClaimed) {
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 5));
  ASSERT_TRUE(soon([&] { return lane.counters().batches_dropped.value() == 1; }));
  EXPECT_EQ(record_.fenced()[0].found, std::nullopt);
  EXPECT_EQ(record_.fenced()[0].found_offset, std::nullopt);
}

TEST_F(FenceTest, OneFencedPartitionDoesNotTakeTheOthersWithIt) {
  for (const bool copy : {false, true}) {
    const int base = copy ? 10 : 0;
    for (int partition = base; partition < base + 4; ++partition) {
      claim(partition, partition == base + 2 ? 2 : 1);
    }
    TestLane lane(by(copy), record_, in_flight_);
    for (int partition = base; partition < base + 4; ++partition) {
      lane.push(rows(partition, 0, 100));
    }
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(record_.fenced().size(), copy ? 2U : 1U);
    EXPECT_EQ(record_.fenced().back().partition.partition, base + 2);
    for (int partition = base; partition < base + 4; ++partition) {
      EXPECT_EQ(position(partition), partition == base + 2 ? 0 : 100);
    }
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 600);
}

TEST_F(FenceTest, WhatIsFencedLeavesNoDeadLetter) {
  for (const bool copy : {false, true}) {
    database_.execute("TRUNCATE t");
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    begin(lane);
    claim(0, /*epoch=*/2, 5);
    BatchBuilder batch = builder(0, /*epoch=*/1, 5);
    batch.reject(Stage::parse, "invalid_json", "not JSON", "{");
    batch.row({int8(6), text("a"), int4(1)});
    lane.push(batch.build());
    ASSERT_TRUE(soon([&] { return record.fenced().size() == 1; }));
    EXPECT_EQ(dead_letters(), 0);
    EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 5);
  }
}

TEST_F(FenceTest, AGapOfOurOwnIsFenced) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 5));
  lane.push(rows(0, 6, 5));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 5);
  EXPECT_EQ(record_.fenced().size(), 1U);
  EXPECT_EQ(lane.counters().batches_dropped.value(), 1U);
}

TEST_F(FenceTest, ANewEpochGoesOnBehindAFencedOne) {
  claim(0, 2);
  TestLane lane(options(), record_, in_flight_);
  lane.push(rows(0, 0, 5, 1));
  lane.push(rows(0, 0, 3, 2));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 3);
  EXPECT_EQ(record_.committed_ranges(), std::vector<std::string>{"0:0-3"});
}

TEST_F(FenceTest, ACommitWhoseAnswerIsSwallowedCountsOnce) {
  for (const bool copy : {false, true}) {
    database_.execute("TRUNCATE t");
    claim(0);
    TcpProxy proxy(server_port());
    Record record;
    TestLane lane(through(proxy, copy), record, in_flight_);
    lane.start();
    lane.push(rows(0, 0, 20));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 20; }));
    proxy.arm(TcpProxy::Fault::swallow_answer);
    lane.push(rows(0, 20, 20));
    ASSERT_TRUE(soon([&] { return record.committed_rows() == 40; }));
    lane.push(rows(0, 40, 20));
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(proxy.fired(), 1);
    EXPECT_EQ(lane.counters().commits_unknown.value(), 1U);
    EXPECT_TRUE(record.commits()[1].was_unknown);
    EXPECT_EQ(position(0), 60);
    EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 60);
    EXPECT_EQ(record.committed_rows(), 60U);
  }
}

TEST_F(FenceTest, ACommitThatNeverArrivedIsSentAgain) {
  for (const auto fault : {TcpProxy::Fault::cut_before, TcpProxy::Fault::cut_inside}) {
    for (const bool copy : {false, true}) {
      database_.execute("TRUNCATE t");
      claim(0);
      TcpProxy proxy(server_port());
      Record record;
      TestLane lane(through(proxy, copy), record, in_flight_);
      lane.start();
      lane.push(rows(0, 0, 20));
      ASSERT_TRUE(soon([&] { return record.committed_rows() == 20; }));
      proxy.arm(fault);
      lane.push(rows(0, 20, 20));
      ASSERT_TRUE(soon([&] { return record.committed_rows() == 40; }));
      ASSERT_TRUE(lane.close(in_seconds(20)));
      EXPECT_EQ(proxy.fired(), 1);
      EXPECT_EQ(lane.counters().commits_unknown.value(), 1U);
      EXPECT_FALSE(record.commits()[1].was_unknown);
      EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 40);
    }
  }
}

TEST_F(FenceTest, ACommitThatWasCutRightAfterItIsDecidedByTheTable) {
  claim(0);
  TcpProxy proxy(server_port());
  TestLane lane(through(proxy), record_, in_flight_);
  lane.start();
  for (int i = 0; i < 20; ++i) {
    proxy.arm(TcpProxy::Fault::cut_after);
    lane.push(rows(0, i * 10, 10));
    ASSERT_TRUE(
        soon([&] { return record_.committed_rows() == static_cast<std::uint64_t>(i + 1) * 10; }));
  }
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_GE(proxy.fired(), 19);
  expect_exactly_once(200);
}

TEST_F(FenceTest, AnUnknownCommitOfSomeoneElsesPartitionIsFenced) {
  claim(0);
  TcpProxy proxy(server_port());
  TestLane lane(through(proxy), record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  proxy.arm(TcpProxy::Fault::cut_before);
  proxy.set_delay(0ms);
  // While the lane is cut off, another one takes the partition.
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(soon([&] { return proxy.fired() == 1; }));
  proxy.refuse(true);
  claim(0, 2, 10);
  proxy.refuse(false);
  ASSERT_TRUE(soon([&] { return record_.fenced().size() + record_.commits().size() >= 2; }));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  if (!record_.fenced().empty()) {  // else the lane was back before the other one's claim
    EXPECT_EQ(record_.fenced()[0].found, 2);
    EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 10);
  }
}

TEST_F(FenceTest, AServerThatFallsSilentIsLeft) {
  claim(0);
  TcpProxy proxy(server_port());
  Options impatient = through(proxy);
  impatient.lanes.reply_margin = 200ms;
  impatient.lanes.statement_timeout = 300ms;
  TestLane lane(impatient, record_, in_flight_);
  lane.start();
  lane.push(rows(0, 0, 10));
  ASSERT_TRUE(soon([&] { return record_.committed_rows() == 10; }));
  proxy.arm(TcpProxy::Fault::silence);
  lane.push(rows(0, 10, 10));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  expect_exactly_once(20);
  EXPECT_TRUE(record_.commits()[1].was_unknown);
}

TEST_F(FenceTest, WaitsForABackendThatMayStillCommit) {
  claim(0);
  database_.execute(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM pg_sleep(0.3); RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW WHEN (NEW.id = 0) EXECUTE FUNCTION slow()");
  TcpProxy proxy(server_port());
  TestLane lane(through(proxy), record_, in_flight_);
  lane.start();
  ASSERT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
               "'penstock/lane-0' AND state = 'idle' AND datname = current_database()") == 1;
  }));
  proxy.arm(TcpProxy::Fault::cut_after);
  lane.push(rows(0, 0, 5));
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(proxy.fired(), 1);
  expect_exactly_once(5);
}

}  // namespace
}  // namespace penstock::write
