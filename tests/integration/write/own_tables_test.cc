// What others have made of Penstock's own tables: no dead letter and no position vanishes in them
// without a word.
#include <gtest/gtest.h>

#include <string>

#include "write_fixture.h"

namespace penstock::write {
namespace {

class OwnTablesTest : public WriteTest {
 protected:
  // A trigger on penstock.`table` that makes nothing of each row.
  void swallow(const std::string& table, const std::string& event) {
    database_.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END "
        "$$; CREATE TRIGGER swallow BEFORE " +
        event + " ON penstock." + table + " FOR EACH ROW EXECUTE FUNCTION swallow()");
  }
  // Ten records, of which the fourth is refused.
  std::unique_ptr<RowBatch> one_bad(Offset from = 0) {
    BatchBuilder batch = builder(0, 1, from);
    for (int i = 0; i < 10; ++i) {
      batch.row({int8(from + i), text(i == 3 ? "bad" : "good"), int4(i)});
    }
    return batch.build();
  }
  // Nothing is committed while `words` are the reason; after `cure` all of it is.
  void expect_waits(TestLane& lane, const std::string& words, const std::string& cure) {
    ASSERT_TRUE(soon([&] {
      const auto stall = record_.stall();
      return stall && stall->error.to_string().contains(words);
    })) << (record_.stall() ? record_.stall()->error.to_string() : "no stall")
        << ", position " << position(0) << ", dead letters " << dead_letters();
    EXPECT_EQ(record_.stall()->kind, Stall::Kind::configuration);
    EXPECT_EQ(position(0), 0);
    EXPECT_EQ(ids().size(), 0U);
    database_.execute(cure);
    ASSERT_TRUE(lane.close(in_seconds(30)));
    EXPECT_EQ(position(0), 10);
    EXPECT_EQ(ids().size(), 9U);
    EXPECT_EQ(dead_letters(), 1);
  }
};

TEST_F(OwnTablesTest, ATriggerThatSwallowsDeadLettersIsNamedAndWaitedFor) {
  claim(0);
  swallow("dead_letters", "INSERT");
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(one_bad());
  expect_waits(lane, "the trigger swallow", "DROP TRIGGER swallow ON penstock.dead_letters");
}

TEST_F(OwnTablesTest, ARuleThatSwallowsDeadLettersIsNamedAndWaitedFor) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  database_.execute("CREATE RULE gone AS ON INSERT TO penstock.dead_letters DO INSTEAD NOTHING");
  lane.push(one_bad());
  expect_waits(lane, "the rule gone", "DROP RULE gone ON penstock.dead_letters");
}

TEST_F(OwnTablesTest, ATriggerThatKeepsPositionsIsNamedAndNoRecordIsBlamed) {
  claim(0);
  swallow("offsets", "UPDATE");
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  lane.push(one_bad());
  expect_waits(lane, "the trigger swallow", "DROP TRIGGER swallow ON penstock.offsets");
}

// Of a role that does not own the tables, with what it needs.
class OwnTablesOfAnotherTest : public OwnTablesTest {
 protected:
  OwnTablesOfAnotherTest() {
    database_.execute("CREATE ROLE " + role_ + " LOGIN PASSWORD 'x'; GRANT INSERT ON t TO " +
                      role_ + "; GRANT USAGE ON SEQUENCE t_seq_seq TO " + role_ +
                      "; GRANT USAGE ON SCHEMA penstock TO " + role_ +
                      "; GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO " +
                      role_ + "; GRANT INSERT ON penstock.dead_letters TO " + role_);
  }
  ~OwnTablesOfAnotherTest() override {
    database_.execute("DROP OWNED BY " + role_ + "; DROP ROLE " + role_);
  }
  Options as_role() {
    Options chosen = options();
    chosen.lanes.conninfo = database_.conninfo() + " user=" + role_ + " password=x";
    return chosen;
  }

  const std::string role_ = test::unique_name("writer");
};

TEST_F(OwnTablesOfAnotherTest, ARoleWithTheDocumentedGrantsWritesDeadLetters) {
  claim(0);
  TestLane lane(as_role(), record_, in_flight_);
  lane.start();
  lane.push(one_bad());
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(dead_letters(), 1);
}

TEST_F(OwnTablesOfAnotherTest, RowLevelSecurityOnDeadLettersIsNamedAndWaitedFor) {
  claim(0);
  TestLane lane(as_role(), record_, in_flight_);
  lane.start();
  database_.execute(
      "ALTER TABLE penstock.dead_letters ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON "
      "penstock.dead_letters FOR INSERT WITH CHECK (stage <> 'write')");
  lane.push(one_bad());
  expect_waits(lane, "row-level security applies to penstock.dead_letters",
               "ALTER TABLE penstock.dead_letters DISABLE ROW LEVEL SECURITY");
}

TEST_F(OwnTablesOfAnotherTest, AGrantThatIsGoneIsNamed) {
  for (const std::string grant :
       {"INSERT ON penstock.dead_letters", "UPDATE ON penstock.offsets", "USAGE ON SCHEMA penstock",
        "EXECUTE ON FUNCTION penstock.advance(text,text[],integer[],bigint[],bigint[],bigint[],"
        "integer[])"}) {
    begin_anew();
    TestLane lane(as_role(), record_, in_flight_);
    lane.start();
    database_.execute(
        "REVOKE EXECUTE ON FUNCTION penstock.advance FROM PUBLIC; GRANT EXECUTE ON "
        "FUNCTION penstock.advance TO " +
        role_);
    database_.execute("REVOKE " + grant + " FROM " + role_);
    lane.push(one_bad());
    expect_waits(lane, "GRANT " + grant + " TO " + role_, "GRANT " + grant + " TO " + role_);
  }
}

TEST_F(OwnTablesTest, DeadLettersThatAreRenamedAwayAreNamedWithWhatPenstockMigrateDoes) {
  claim(0);
  TestLane lane(options(), record_, in_flight_);
  lane.start();
  database_.execute("ALTER TABLE penstock.dead_letters RENAME TO letters");
  lane.push(one_bad());
  expect_waits(lane, "penstock migrate", "ALTER TABLE penstock.letters RENAME TO dead_letters");
}

}  // namespace
}  // namespace penstock::write
