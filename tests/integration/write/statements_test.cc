// What a lane leaves behind in PostgreSQL's catalogs and statistics, however long it runs.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

#include "write_fixture.h"

namespace penstock::write {
namespace {

class StatementsTest : public WriteTest {
 protected:
  static constexpr std::size_t kTransactions = 300;

  StatementsTest() { database_.execute("CREATE EXTENSION pg_stat_statements"); }

  // Transactions of one row and of many, by one lane.
  void write(const Options& chosen) {
    database_.execute("TRUNCATE t; DELETE FROM penstock.offsets");
    chains_.clear();
    claim(0);
    Record record;
    TestLane lane(chosen, record, in_flight_);
    database_.execute(
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = "
        "current_database()");
    lane.start();
    Offset at = 0;
    for (std::size_t transaction = 0; transaction < kTransactions; ++transaction) {
      const int count = transaction % 2 == 0 ? 1 : 20;
      lane.push(rows(0, at, count));
      at += count;
      ASSERT_TRUE(soon([&] { return record.committed_batches() == transaction + 1; }));
    }
    ASSERT_TRUE(lane.close(in_seconds(20)));
  }

  // Of this database, without the test's own.
  std::int64_t statements() {
    return database_.number(
        "SELECT count(*) FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE "
        "datname = current_database()) AND query NOT LIKE '%pg_stat_statements%'");
  }
};

TEST_F(StatementsTest, AreTheSameFewHoweverManyTransactions) {
  for (const WriteMode mode : {WriteMode::append, WriteMode::upsert}) {
    for (const bool copy : {true, false}) {
      write(mode == WriteMode::append ? by(copy) : keyed(mode, copy));
      const std::int64_t count = statements();
      EXPECT_LE(count, 20) << (copy ? "copy" : "insert");
      EXPECT_GE(count, 10) << "those that a session begins with, the rows and the fence";
    }
  }
}

}  // namespace
}  // namespace penstock::write
