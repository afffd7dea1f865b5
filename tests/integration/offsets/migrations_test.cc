#include "offsets/migrations.h"

#include <gtest/gtest.h>

#include <array>
#include <future>

#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

class Migrations : public testing::Test {
 protected:
  bool has_table(const std::string& name) {
    return database.value("SELECT coalesce(to_regclass('" + name + "')::text, '')") != "";
  }

  test::TestDatabase database;
  const std::string& conninfo = database.conninfo();
  postgres::Pool pool{{.conninfo = conninfo}};
};

// What the tests migrate with when the real ones will not do.
constexpr std::array<Migration, 2> kTwo{
    {{1, "one", "CREATE TABLE penstock.one ()", "DROP TABLE penstock.one", "c1"},
     {2, "two", "CREATE TABLE penstock.two ()", "DROP TABLE penstock.two", "c2"}}};

TEST_F(Migrations, MakeTheSchemaFromNothing) {
  EXPECT_EQ(is_current(pool, {}), false);
  const auto before = status(conninfo);
  ASSERT_TRUE(before.has_value()) << before.error().to_string();
  EXPECT_EQ(before->front().state, MigrationState::pending);
  EXPECT_EQ(before->front().applied_at, "");

  const auto done = migrate_up(conninfo);
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(done->size(), embedded_migrations().size());
  EXPECT_TRUE(has_table("penstock.offsets"));
  EXPECT_TRUE(has_table("penstock.dead_letters"));
  EXPECT_EQ(is_current(pool, {}), true);
  const auto after = status(conninfo);
  EXPECT_EQ(after->front().state, MigrationState::applied);
  EXPECT_TRUE(after->front().applied_at.ends_with("Z")) << after->front().applied_at;
}

TEST_F(Migrations, KeepTheirLocksNoLongerThanTheirProcessLives) {
  constexpr std::array<Migration, 1> kLook{
      {{1, "look",
        "CREATE TABLE penstock.look AS SELECT "
        "current_setting('idle_in_transaction_session_timeout') AS patience",
        "DROP TABLE penstock.look", "c1"}}};
  ASSERT_TRUE(migrate_up(conninfo, {}, kLook).has_value());
  EXPECT_EQ(database.value("SELECT patience FROM penstock.look"), "30s");
}

TEST_F(Migrations, HaveNothingToDoTheSecondTime) {
  ASSERT_TRUE(migrate_up(conninfo).has_value());
  EXPECT_EQ(migrate_up(conninfo), std::vector<int>{});
}

TEST_F(Migrations, AreNotTakenBackWithPositionsOrDeadLettersUnlessThatIsSaid) {
  ASSERT_TRUE(migrate_up(conninfo).has_value());
  database.execute(
      "INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, epoch, owner, "
      "backend_pid, cluster_id, topic_id) VALUES ('ops', 't', 0, 5, 1, 'host/7', 1, '', '')");
  const auto positions = migrate_down(conninfo, 1);
  ASSERT_FALSE(positions.has_value());
  EXPECT_EQ(positions.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(positions.error().message.contains("1 position of ops (claimed by host/7)"))
      << positions.error().message;
  EXPECT_TRUE(positions.error().hint.contains("--yes-drop-positions")) << positions.error().hint;
  EXPECT_EQ(is_current(pool, {}), true) << "nothing was changed";

  database.execute(
      "DELETE FROM penstock.offsets; INSERT INTO penstock.dead_letters (pipeline, topic, "
      "partition, \"offset\", headers, stage, reason, message) "
      "VALUES ('ops', 't', 0, 1, '[]', 'parse', 'r', 'm')");
  EXPECT_EQ(migrate_down(conninfo, 1).error().kind, ErrorKind::conflict);
  EXPECT_EQ(migrate_down(conninfo, 1, Stored::drop), std::vector<int>{1});
}

TEST_F(Migrations, CanBeTakenBackAndAppliedAgain) {
  ASSERT_TRUE(migrate_up(conninfo).has_value());
  const int all = static_cast<int>(embedded_migrations().size());
  EXPECT_EQ(migrate_down(conninfo, all)->size(), embedded_migrations().size());
  EXPECT_FALSE(has_table("penstock.offsets"));
  EXPECT_EQ(database.number("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = "
                            "p.pronamespace WHERE n.nspname = 'penstock'"),
            0)
      << "a down migration left something behind";
  EXPECT_EQ(migrate_down(conninfo, 1), std::vector<int>{}) << "there is nothing left";
  EXPECT_EQ(migrate_up(conninfo)->size(), embedded_migrations().size());
}

TEST_F(Migrations, StopAtTheTarget) {
  EXPECT_EQ(migrate_up(conninfo, 1, kTwo), std::vector<int>{1});
  EXPECT_FALSE(has_table("penstock.two"));
  EXPECT_EQ(is_current(pool, {}, kTwo), false);
  EXPECT_EQ(migrate_up(conninfo, 2, kTwo), std::vector<int>{2});
  EXPECT_EQ(migrate_down(conninfo, 1, Stored::refuse, kTwo), std::vector<int>{2});
  EXPECT_TRUE(has_table("penstock.one"));
  EXPECT_EQ(migrate_up(conninfo, 3, kTwo).error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(migrate_down(conninfo, 0, Stored::refuse, kTwo).error().kind,
            ErrorKind::invalid_argument);
}

TEST_F(Migrations, AreRefusedWhenAnAppliedOneHasChanged) {
  ASSERT_TRUE(migrate_up(conninfo, 1, kTwo).has_value());
  database.execute("UPDATE penstock.schema_migrations SET checksum = 'other'");
  const auto up = migrate_up(conninfo, std::nullopt, kTwo);
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().kind, ErrorKind::conflict);
  EXPECT_NE(up.error().message.find("0001_one"), std::string::npos) << up.error().message;
  EXPECT_FALSE(has_table("penstock.two"));
  EXPECT_EQ(migrate_down(conninfo, 1, Stored::refuse, kTwo).error().kind, ErrorKind::conflict);
  EXPECT_TRUE(has_table("penstock.one"));
  EXPECT_EQ(is_current(pool, {}, kTwo).error().kind, ErrorKind::conflict);
  EXPECT_EQ(status(conninfo, kTwo)->front().state, MigrationState::changed);
}

TEST_F(Migrations, AreRefusedWhenTheDatabaseKnowsNewerOnes) {
  ASSERT_TRUE(migrate_up(conninfo, std::nullopt, kTwo).has_value());
  const auto old_binary = std::span(kTwo).first(1);
  const auto up = migrate_up(conninfo, std::nullopt, old_binary);
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().kind, ErrorKind::conflict);
  EXPECT_NE(up.error().message.find("0002_two"), std::string::npos) << up.error().message;
  EXPECT_EQ(is_current(pool, {}, old_binary).error().kind, ErrorKind::conflict);
  const auto list = status(conninfo, old_binary);
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->back().state, MigrationState::unknown);
  EXPECT_EQ(list->back().name, "two");
}

TEST_F(Migrations, OfANewerBinaryAreNoObstacleWhenTheyAreBackwardCompatible) {
  constexpr std::array<Migration, 2> with_compatible{
      {kTwo[0],
       {2, "more", "-- backward compatible\nCREATE TABLE penstock.more ()",
        "DROP TABLE penstock.more", "c2"}}};
  ASSERT_TRUE(migrate_up(conninfo, std::nullopt, with_compatible).has_value());
  const auto old_binary = std::span(with_compatible).first(1);
  EXPECT_EQ(is_current(pool, {}, old_binary), true);
  EXPECT_EQ(migrate_up(conninfo, std::nullopt, old_binary), std::vector<int>{});
  const auto list = status(conninfo, old_binary);
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->back().state, MigrationState::newer);

  const auto down = migrate_down(conninfo, 1, Stored::refuse, old_binary);
  ASSERT_FALSE(down.has_value()) << "it has no SQL to take it back with";
  EXPECT_EQ(down.error().kind, ErrorKind::conflict);
  EXPECT_NE(down.error().message.find("0002_more"), std::string::npos) << down.error().message;
  EXPECT_TRUE(has_table("penstock.more"));
}

TEST_F(Migrations, LeaveNothingOfOneThatFailed) {
  constexpr std::array<Migration, 2> with_bad{
      {kTwo[0], {2, "bad", "CREATE TABLE penstock.half (); SELECT 1 / 0;", "SELECT 1", "c2"}}};
  const auto up = migrate_up(conninfo, std::nullopt, with_bad);
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().sqlstate, "22012");
  EXPECT_TRUE(has_table("penstock.one")) << "the one before is in a transaction of its own";
  EXPECT_FALSE(has_table("penstock.half"));
  EXPECT_EQ(status(conninfo, with_bad)->back().state, MigrationState::pending);
}

TEST_F(Migrations, RunOnceWhenTwoProcessesStartAtOnce) {
  std::vector<std::future<Result<std::vector<int>>>> runs;
  for (int i = 0; i < 4; ++i) {
    runs.push_back(std::async(std::launch::async,
                              [this] { return migrate_up(conninfo, std::nullopt, kTwo); }));
  }
  std::size_t applied = 0;
  for (auto& run : runs) {
    const auto result = run.get();
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
    applied += result->size();
  }
  EXPECT_EQ(applied, 2U);
}

TEST_F(Migrations, DoNotWaitForeverForAnother) {
  database.execute("BEGIN; SELECT pg_advisory_xact_lock(8100407318203394927)");
  const auto up = migrate_up(conninfo, std::nullopt, kTwo, 100ms);
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().kind, ErrorKind::deadline_exceeded);
  EXPECT_EQ(up.error().message, "another migration is still running");
  database.execute("ROLLBACK");
  EXPECT_TRUE(migrate_up(conninfo, std::nullopt, kTwo).has_value());
}

TEST_F(Migrations, WorkWhateverTheRoleDefaultsTo) {
  database.execute("ALTER DATABASE " + database.name() +
                   " SET default_transaction_isolation = 'serializable'");
  EXPECT_TRUE(migrate_up(conninfo).has_value());
}

}  // namespace
}  // namespace penstock::offsets
