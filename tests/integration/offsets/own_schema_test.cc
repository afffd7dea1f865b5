// What others have made of Penstock's own tables is named, and taken for nothing else: no position
// is "deleted" that is only hidden, and none is given that was not stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/offsets/begin_at.h"
#include "offsets/claims.h"
#include "offsets/migrations.h"
#include "offsets/registry.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using testing::HasSubstr;

class OwnSchema : public testing::Test {
 protected:
  OwnSchema() {
    database.execute("CREATE ROLE " + role + " LOGIN PASSWORD 'x'");
    EXPECT_TRUE(migrate_up(database.conninfo()).has_value());
    database.execute("GRANT USAGE ON SCHEMA penstock TO " + role +
                     "; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA penstock TO " + role);
  }
  ~OwnSchema() override { database.execute("DROP OWNED BY " + role + "; DROP ROLE " + role); }

  // A trigger on penstock.`table` that makes nothing of each row.
  void swallow(const std::string& table, const std::string& event) {
    database.execute(
        "CREATE OR REPLACE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN "
        "NULL; END $$; CREATE TRIGGER swallow BEFORE " +
        event + " ON penstock." + table + " FOR EACH ROW EXECUTE FUNCTION swallow()");
  }
  void let_through(const std::string& table) {
    database.execute("DROP TRIGGER swallow ON penstock." + table);
  }
  Result<std::vector<ClaimAnswer>> claim() {
    return claims.claim(
        std::vector<ClaimRequest>{{.id = {0, 0}, .topic = "t", .cluster_id = {}, .topic_id = {}}},
        {});
  }
  template <typename Answer>
  static void expect_named(const Result<Answer>& answer, const std::string& words) {
    ASSERT_FALSE(answer.has_value());
    EXPECT_THAT(answer.error().to_string(), HasSubstr(words));
  }

  const std::string role = test::unique_name("service");
  test::TestDatabase database;
  postgres::Pool pool{{.conninfo = database.conninfo() + " user=" + role + " password=x"}};
  const Identity pipeline{.pipeline = "p",
                          .group = "g",
                          .cluster_id = {},
                          .topics = {"t"},
                          .tables = {"public.orders"}};
  Claims claims{{.pipeline = "p", .owner = "me"}, pool};
};

TEST_F(OwnSchema, RowLevelSecurityIsNotTakenForADeletedPosition) {
  ASSERT_TRUE(enter(pool, pipeline, {}).has_value());
  ASSERT_TRUE(test::begin_at(claims, {Offset{0}}).has_value());
  for (const std::string table : {"offsets", "pipelines"}) {
    const std::string name = "penstock." + table;
    database.execute("ALTER TABLE " + name + " ENABLE ROW LEVEL SECURITY");
    expect_named(claim(), "row-level security applies to " + name);
    expect_named(claim(), "ALTER TABLE " + name + " DISABLE ROW LEVEL SECURITY");
    expect_named(check_schema(pool, {}), "row-level security applies to " + name);
    database.execute("ALTER TABLE " + name + " DISABLE ROW LEVEL SECURITY");
    ASSERT_TRUE(claim().has_value());
    EXPECT_NE(claim()->front().epoch, Epoch::none);
  }
}

TEST_F(OwnSchema, ATriggerThatKeepsWhatIsStoredIsNamedByEveryStatement) {
  swallow("pipelines", "INSERT");
  expect_named(enter(pool, pipeline, {}), "the trigger swallow");
  let_through("pipelines");
  ASSERT_TRUE(enter(pool, pipeline, {}).has_value());

  swallow("offsets", "INSERT OR UPDATE");
  expect_named(test::begin_at(claims, {Offset{0}}), "the trigger swallow");
  let_through("offsets");
  swallow("pipelines", "UPDATE");
  expect_named(test::begin_at(claims, {Offset{0}}), "the trigger swallow");
  let_through("pipelines");
  ASSERT_TRUE(test::begin_at(claims, {Offset{0}}).has_value());

  swallow("offsets", "INSERT OR UPDATE");
  expect_named(claim(), "the trigger swallow");
  expect_named(reset(pool, "p", "", "t", "", {{.partition = 0, .next_offset = 5}}),
               "the trigger swallow");
  EXPECT_EQ(database.value("SELECT next_offset || ' ' || epoch FROM penstock.offsets"), "0 0");
  let_through("offsets");
  ASSERT_TRUE(claim().has_value());
}

TEST_F(OwnSchema, AGrantThatIsGoneIsNamedByAClaim) {
  ASSERT_TRUE(enter(pool, pipeline, {}).has_value());
  ASSERT_TRUE(test::begin_at(claims, {Offset{0}}).has_value());
  for (const std::string grant : {"UPDATE ON penstock.offsets", "USAGE ON SCHEMA penstock"}) {
    database.execute("REVOKE " + grant + " FROM " + role);
    expect_named(claim(), "GRANT " + grant + " TO " + role);
    database.execute("GRANT " + grant + " TO " + role);
    EXPECT_TRUE(claim().has_value());
  }
}

TEST_F(OwnSchema, ARuleAndATableThatIsGoneAreNamedBeforeTheStart) {
  database.execute("CREATE RULE r AS ON INSERT TO penstock.dead_letters DO INSTEAD NOTHING");
  expect_named(check_schema(pool, {}), "DROP RULE r ON penstock.dead_letters");
  database.execute("DROP RULE r ON penstock.dead_letters");
  database.execute("ALTER TABLE penstock.dead_letters RENAME TO letters");
  expect_named(check_schema(pool, {}), "there is no penstock.dead_letters");
  expect_named(check_schema(pool, {}), "penstock migrate");
}

}  // namespace
}  // namespace penstock::offsets
