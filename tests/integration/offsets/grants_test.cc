// docs/reference/grants.md says what a service role needs: exactly that is tried here.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "integration/offsets/begin_at.h"
#include "integration/offsets/chain_of.h"
#include "offsets/claims.h"
#include "offsets/migrations.h"
#include "offsets/registry.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
  return text;
}

// The statements of the page's one SQL block.
std::string documented_grants() {
  std::ifstream stream(PENSTOCK_GRANTS_PAGE);
  std::ostringstream text;
  text << stream.rdbuf();
  const std::string page = text.str();
  const std::size_t begin = page.find("```sql\n") + 7;
  return page.substr(begin, page.find("```", begin) - begin);
}

class Grants : public testing::Test {
 protected:
  Grants() {
    database.execute("CREATE ROLE " + role + " LOGIN PASSWORD 'x'; CREATE TABLE orders (id int)");
  }
  ~Grants() override { database.execute("DROP OWNED BY " + role + "; DROP ROLE " + role); }

  void migrate() {
    const auto done = migrate_up(database.conninfo());
    ASSERT_TRUE(done.has_value()) << done.error().to_string();
  }
  void grant() { database.execute(replaced(documented_grants(), "penstock_service", role)); }

  const std::string role = test::unique_name("service");
  test::TestDatabase database;
  const std::string as_service = database.conninfo() + " user=" + role + " password=x";
  postgres::Pool pool{{.conninfo = as_service}};
};

TEST_F(Grants, AreEnoughForAllThatTheServiceDoes) {
  migrate();
  grant();
  EXPECT_EQ(is_current(pool, {}), true);
  EXPECT_EQ(migrate_up(as_service), std::vector<int>{}) << "nothing to do needs no right to do it";
  EXPECT_TRUE(status(as_service).has_value());

  const Identity pipeline{.pipeline = "p",
                          .group = "g",
                          .cluster_id = {},
                          .topics = {"t"},
                          .tables = {"public.orders"}};
  for (int i = 0; i < 2; ++i) {
    const auto entered = enter(pool, pipeline, {});
    ASSERT_TRUE(entered.has_value()) << entered.error().to_string();
  }
  Claims claims({.pipeline = "p", .owner = "me"}, pool);
  const auto begun = test::begin_at(claims, {Offset{0}});
  ASSERT_TRUE(begun.has_value()) << begun.error().to_string();
  for (int i = 0; i < 2; ++i) {
    const auto answers = claims.claim(
        std::vector<ClaimRequest>{{.id = {0, 0}, .topic = "t", .cluster_id = {}, .topic_id = {}}},
        {});
    ASSERT_TRUE(answers.has_value()) << answers.error().to_string();
  }
  EXPECT_TRUE(claims.release(std::vector{test::chain_of(0, 2)}, {}).has_value());

  auto session = harness::Sql::connect(as_service);
  ASSERT_TRUE(session.has_value());
  const auto done = session->execute(
      "BEGIN; INSERT INTO orders VALUES (1);"
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", headers, stage, "
      "reason, message) VALUES ('p', 't', 0, 1, '[]', 'parse', 'r', 'm');"
      "SELECT penstock.advance('p', '{t}', '{0}', '{2}', '{0}', '{2}', '{0}'); COMMIT");
  EXPECT_TRUE(done.has_value()) << done.error().to_string();
}

TEST_F(Grants, OfFunctionsThatNotEverybodyMayCallAreNamed) {
  migrate();
  grant();
  EXPECT_TRUE(check_schema(pool, {}).has_value());
  database.execute("REVOKE EXECUTE ON FUNCTION penstock.newest_dead_letter FROM PUBLIC");
  const auto checked = check_schema(pool, {});
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().hint,
            "GRANT EXECUTE ON FUNCTION penstock.newest_dead_letter() TO " + role);
  database.execute("GRANT EXECUTE ON FUNCTION penstock.newest_dead_letter TO " + role);
  EXPECT_TRUE(check_schema(pool, {}).has_value());
}

TEST_F(Grants, OfTheServiceDoNotIncludeChangingTheSchema) {
  const auto refused = migrate_up(as_service);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::permission_denied);
  EXPECT_NE(refused.error().hint.find("grants.md"), std::string::npos) << refused.error().hint;
  migrate();
  grant();
  EXPECT_EQ(migrate_down(as_service, 1).error().kind, ErrorKind::permission_denied);
}

TEST_F(Grants, ThatAreMissingAreNamed) {
  migrate();
  const auto current = is_current(pool, {});
  ASSERT_FALSE(current.has_value());
  EXPECT_EQ(current.error().kind, ErrorKind::permission_denied);
  EXPECT_NE(current.error().message.find("penstock"), std::string::npos);
  Claims claims({.pipeline = "p", .owner = "me"}, pool);
  const auto answers = claims.claim(
      std::vector<ClaimRequest>{{.id = {0, 0}, .topic = "t", .cluster_id = {}, .topic_id = {}}},
      {});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::permission_denied);
  EXPECT_EQ(answers.error().sqlstate, "42501");
}

}  // namespace
}  // namespace penstock::offsets
