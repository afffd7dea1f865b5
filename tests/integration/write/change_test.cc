// A table that changes while it is being found out which of its rows it refuses: what it does not
// refuse any more is no dead letter.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

class ChangeTest : public WriteTest {
 protected:
  // A CHECK on t of which somebody gets rid when it has refused so many rows.
  void refuse_until(int looks, const std::string& unless = "false") {
    database_.execute(
        "DROP SEQUENCE IF EXISTS looks CASCADE; CREATE SEQUENCE looks;"
        "ALTER TABLE t ADD CONSTRAINT shut CHECK (" +
        unless + " OR nextval('looks') > " + std::to_string(looks) + ") NOT VALID");
  }
};

TEST_F(ChangeTest, MakesNoDeadLettersOfTheRowsThatWereTriedBefore) {
  for (const bool copy : {true, false}) {
    begin_anew();
    refuse_until(21);  // the plain try meets it once
    Record record;
    TestLane lane(by(copy), record, in_flight_);
    lane.push(rows(0, 0, 100));
    lane.start();
    ASSERT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(dead_letters(), 0) << copy;
    EXPECT_EQ(ids().size(), 100U);
    ASSERT_EQ(record.commits().size(), 1U);
    EXPECT_EQ(record.commits().front().tries, 3U);
  }
}

TEST_F(ChangeTest, MakesNoDeadLettersAlthoughOthersPassedBefore) {
  // Every other row. A try goes as far as one window: it meets the CHECK once plainly, and 32 times
  // one by one; the third one does so 10 times, and then no more.
  begin_anew();
  refuse_until(2 * 33 + 1 + 10, "amount % 2 = 0");
  TestLane lane(by(/*copy=*/false), record_, in_flight_);
  lane.push(rows(0, 0, 100));
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(record_.stall_kinds(), (std::vector<std::string>{"configuration", ""}));
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_EQ(ids().size(), 100U);
}

TEST_F(ChangeTest, IsLookedForOnce) {
  // The first row passes as soon as the second one is there, which comes later: always.
  database_.execute(
      "CREATE TABLE tree (id bigint PRIMARY KEY CHECK (id < 100), parent bigint REFERENCES tree, "
      "seq bigserial)");
  claim(0);
  TestLane lane(options("tree"), record_, in_flight_);
  lane.push(builder(0, 1, 0)
                .row({int8(1), int8(2)})
                .row({int8(2), std::nullopt})
                .row({int8(100), std::nullopt})
                .build());
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(ids("tree"), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(dead_letters(), 2);
  ASSERT_EQ(record_.commits().size(), 1U);
  EXPECT_EQ(record_.commits().front().tries, 4U);
}

}  // namespace
}  // namespace penstock::write
