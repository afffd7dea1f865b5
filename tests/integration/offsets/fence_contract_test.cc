#include "integration/offsets/fence_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "offsets/migrations.h"
#include "support/servers.h"

namespace penstock::test {
namespace {

using testing::Contains;
using testing::IsEmpty;

class FenceContract : public testing::Test {
 protected:
  FenceContract() {
    if (const auto done = offsets::migrate_up(database.conninfo()); !done) {
      throw std::runtime_error(done.error().to_string());
    }
  }

  // Takes `piece` out of the function, as a careless change would.
  void take_out(const std::string& piece) {
    const std::string whole = database.value(
        "SELECT pg_get_functiondef('penstock.advance(text,text[],integer[],bigint[],bigint[],"
        "bigint[],integer[])'::regprocedure)");
    std::string mutated = whole;
    const std::size_t at = mutated.find(piece);
    ASSERT_NE(at, std::string::npos) << "the mutation does not fit the function any more";
    mutated.erase(at, piece.size());
    database.execute(mutated);
  }

  TestDatabase database;
};

TEST_F(FenceContract, IsKeptByTheRealFunction) {
  EXPECT_THAT(violated_rules(database.conninfo()), IsEmpty());
}

TEST_F(FenceContract, IsViolatedWithoutTheEpoch) {
  take_out("AND o.epoch = step.epoch");
  EXPECT_THAT(violated_rules(database.conninfo()), Contains("refuses an old epoch"));
}

TEST_F(FenceContract, IsViolatedWithoutTheStart) {
  take_out("AND o.next_offset = step.from_offset");
  EXPECT_THAT(violated_rules(database.conninfo()),
              Contains("refuses a second try of the same range"));
}

TEST_F(FenceContract, IsViolatedWhenNobodyLooksAtTheRowCount) {
  take_out("RAISE EXCEPTION 'penstock: fenced' USING ERRCODE = 'PS001', DETAIL = fenced::text;");
  EXPECT_THAT(violated_rules(database.conninfo()), Contains("refuses a partition that has no row"));
}

TEST_F(FenceContract, IsKeptThoughSomebodyShadowsAnOperator) {
  // Whoever may create things in a schema of the caller's search_path makes every epoch equal.
  database.execute(
      "CREATE FUNCTION public.always(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
      "CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.always);"
      "ALTER DATABASE " +
      database.name() + " SET search_path = public, pg_catalog");
  EXPECT_THAT(violated_rules(database.conninfo()), IsEmpty());
}

}  // namespace
}  // namespace penstock::test
