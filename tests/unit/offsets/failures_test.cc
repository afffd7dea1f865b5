// What can be said about failures without a database.
#include <gtest/gtest.h>

#include "offsets/claims.h"
#include "offsets/migrations.h"
#include "postgres/pool.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

Error claim_error(const std::string& conninfo) {
  postgres::Pool pool({.conninfo = conninfo, .connect_timeout = 1s});
  Claims claims({.pipeline = "p", .owner = "me"}, pool);
  const auto answers = claims.claim(std::vector<ClaimRequest>(1), {});
  EXPECT_FALSE(answers.has_value());
  return answers ? Error{} : answers.error();
}

TEST(Failures, OfAnUnreachableServerAreWorthAnotherTry) {
  const Error error = claim_error("host=127.0.0.1 port=1 user=u password=hunter2");
  EXPECT_EQ(error.kind, ErrorKind::unavailable);
  EXPECT_EQ(error.message.find("hunter2"), std::string::npos);
  EXPECT_EQ(error.message.find('\n'), std::string::npos) << "one event, one line";
  postgres::Pool pool({.conninfo = "host=127.0.0.1 port=1"});
  EXPECT_EQ(is_current(pool, {}).error().kind, ErrorKind::unavailable);
}

TEST(Failures, OfABadConnectionStringDoNotRepeatIt) {
  const Error error = claim_error("password=hunter two");
  EXPECT_EQ(error.kind, ErrorKind::invalid_argument);
  EXPECT_EQ(error.to_string().find("hunter"), std::string::npos);
  EXPECT_EQ(error.to_string().find("two"), std::string::npos);
  EXPECT_EQ(migrate_up("nonsense").error().kind, ErrorKind::invalid_argument);
}

TEST(EmbeddedMigrations, AreCompleteAndInOrder) {
  int last = 0;
  ASSERT_FALSE(embedded_migrations().empty());
  for (const Migration& migration : embedded_migrations()) {
    EXPECT_EQ(migration.version, ++last);
    EXPECT_FALSE(migration.name.empty());
    EXPECT_FALSE(migration.up.empty());
    EXPECT_FALSE(migration.down.empty());
    EXPECT_EQ(migration.checksum.size(), 64U);
  }
  EXPECT_EQ(embedded_migrations()[0].name, "offsets_and_dead_letters");
}

TEST(EmbeddedMigrations, AreBackwardCompatibleOnlyIfTheirFirstLineSaysSo) {
  const auto compatible = [](std::string_view up) {
    return Migration{2, "two", up, "", ""}.backward_compatible();
  };
  EXPECT_TRUE(compatible("-- backward compatible\nSELECT 1"));
  EXPECT_FALSE(compatible("-- Not backward compatible\nSELECT 1"));
  EXPECT_FALSE(compatible("SELECT 1;\n-- backward compatible\n"));
  EXPECT_FALSE(compatible(""));
}

TEST(EmbeddedMigrations, NameEveryState) {
  EXPECT_EQ(to_string(MigrationState::applied), "applied");
  EXPECT_EQ(to_string(MigrationState::pending), "pending");
  EXPECT_EQ(to_string(MigrationState::changed), "changed");
  EXPECT_EQ(to_string(MigrationState::unknown), "unknown");
  EXPECT_EQ(to_string(MigrationState::newer), "newer");
}

}  // namespace
}  // namespace penstock::offsets
