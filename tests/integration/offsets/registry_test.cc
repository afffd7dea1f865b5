// Whose the positions are, and what people can do about it.
#include "offsets/registry.h"

#include <gtest/gtest.h>

#include <thread>

#include "integration/offsets/begin_at.h"
#include "offsets/claims.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

class Registry : public testing::Test {
 protected:
  Registry() { database.migrate(); }

  static Identity ops() {
    return {.pipeline = "ops",
            .group = "g",
            .cluster_id = "c1",
            .topics = {"t", "u"},
            .tables = {"public.ops"}};
  }
  void claim(const std::string& pipeline, int partitions) {
    Claims claims({.pipeline = pipeline, .owner = "host/1"}, pool);
    ASSERT_TRUE(test::begin_at(
        claims, std::vector<std::optional<Offset>>(static_cast<std::size_t>(partitions), 7)));
    std::vector<ClaimRequest> requests;
    for (int i = 0; i < partitions; ++i) {
      requests.push_back({.id = {0, i}, .topic = "t", .cluster_id = "c1", .topic_id = {}});
    }
    ASSERT_TRUE(claims.claim(requests, {}).has_value());
  }
  void expect_conflict(const Identity& identity, const std::string& words,
                       const std::string& command) {
    for (const bool writes : {false, true}) {
      const auto answer = writes ? enter(pool, identity, {}) : may_enter(pool, identity, {});
      ASSERT_FALSE(answer.has_value()) << words;
      EXPECT_EQ(answer.error().kind, ErrorKind::conflict) << answer.error().to_string();
      EXPECT_TRUE(answer.error().message.contains(words)) << answer.error().message;
      EXPECT_TRUE(answer.error().hint.contains(command)) << answer.error().hint;
    }
  }

  test::TestDatabase database;
  postgres::Pool pool{{.conninfo = database.conninfo()}};
};

TEST_F(Registry, TakesAPipelineAgainAsItWasAndWithAnotherTopicOrAMoreOfTables) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  EXPECT_TRUE(enter(pool, ops(), {}).has_value());
  Identity more = ops();
  more.topics = {"u", "v"};
  more.tables = {"public.ops", "public.lines"};
  EXPECT_TRUE(may_enter(pool, more, {}).has_value());
  ASSERT_TRUE(enter(pool, more, {}).has_value());
  EXPECT_EQ(database.value("SELECT topics::text || tables::text FROM penstock.pipelines"),
            "{u,v}{public.ops,public.lines}");
}

TEST_F(Registry, RefusesAnotherGroupClusterOrTableUnderTheName) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  Identity group = ops();
  group.group = "h";
  expect_conflict(group, "belong to consumer group 'g'", "penstock offsets adopt ops");
  Identity cluster = ops();
  cluster.cluster_id = "c2";
  expect_conflict(cluster, "belong to the Kafka cluster 'c1'", "check bootstrap.servers");
  Identity table = ops();
  table.tables = {"public.t2"};
  expect_conflict(table, "belong to a pipeline that writes public.ops", "a name of its own");
}

TEST_F(Registry, RefusesAnotherNameForTheSameGroupAndTopic) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  Identity renamed = ops();
  renamed.pipeline = "ops-v2";
  renamed.topics = {"u"};
  expect_conflict(renamed, "pipeline 'ops' reads topic u", "penstock offsets rename ops ops-v2");
  Identity apart = renamed;
  apart.topics = {"w"};
  EXPECT_TRUE(may_enter(pool, apart, {}).has_value());
  apart = renamed;
  apart.group = "h";
  EXPECT_TRUE(may_enter(pool, apart, {}).has_value());
  apart = renamed;
  apart.cluster_id = "c2";
  EXPECT_TRUE(may_enter(pool, apart, {}).has_value());
}

TEST_F(Registry, LearnsAClusterThatWasNotKnownAndDoesNotForgetIt) {
  Identity unknown = ops();
  unknown.cluster_id = "";
  ASSERT_TRUE(enter(pool, unknown, {}).has_value());
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  ASSERT_TRUE(enter(pool, unknown, {}).has_value());
  EXPECT_EQ(database.value("SELECT cluster_id FROM penstock.pipelines"), "c1");
}

TEST_F(Registry, LetsOneOfTwoThatEnterAtOnceIn) {
  int entered = 0;
  for (int round = 0; round < 10; ++round) {
    database.execute("DELETE FROM penstock.pipelines");
    Identity other = ops();
    other.pipeline = "ops-v2";
    Result<void> second;
    std::thread thread([&] { second = enter(pool, other, {}); });
    const Result<void> first = enter(pool, ops(), {});
    thread.join();
    entered += (first ? 1 : 0) + (second ? 1 : 0);
  }
  EXPECT_EQ(entered, 10);
}

TEST_F(Registry, GivesThePositionsToANewNameOnceNobodyHasThem) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  claim("ops", 2);
  const auto claimed = offsets::rename(pool, "ops", "ops-v2", Claimed::refuse);
  ASSERT_FALSE(claimed.has_value());
  EXPECT_TRUE(claimed.error().message.contains("claimed by host/1")) << claimed.error().message;
  EXPECT_TRUE(claimed.error().hint.contains("--yes-it-is-stopped")) << claimed.error().hint;
  EXPECT_EQ(offsets::rename(pool, "ops", "ops-v2", Claimed::ended), 2U);
  Identity renamed = ops();
  renamed.pipeline = "ops-v2";
  EXPECT_TRUE(enter(pool, renamed, {}).has_value());
  const auto stored = positions(pool);
  ASSERT_TRUE(stored.has_value());
  ASSERT_EQ(stored->size(), 2U);
  EXPECT_EQ(stored->front().pipeline, "ops-v2");
  EXPECT_EQ(stored->front().next_offset, 7);
  EXPECT_EQ(offsets::rename(pool, "ops", "ops-v3", Claimed::ended).error().kind,
            ErrorKind::not_found);
}

TEST_F(Registry, DoesNotGivePositionsToANameThatHasSome) {
  claim("ops", 1);
  claim("ops-v2", 1);
  EXPECT_EQ(offsets::rename(pool, "ops", "ops-v2", Claimed::ended).error().kind,
            ErrorKind::conflict);
}

TEST_F(Registry, AdoptsWhatWasChangedOnPurposeButNoGroupAndTopicOfAnother) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  Identity other = ops();
  other.pipeline = "other";
  other.group = "h";
  ASSERT_TRUE(enter(pool, other, {}).has_value());
  Identity changed = ops();
  changed.group = "i";
  changed.tables = {"public.t2"};
  EXPECT_TRUE(adopt(pool, changed, Claimed::refuse).has_value());
  EXPECT_TRUE(enter(pool, changed, {}).has_value());
  changed.group = "h";
  EXPECT_EQ(adopt(pool, changed, Claimed::refuse).error().kind, ErrorKind::conflict);
}

TEST_F(Registry, ForgetsAPipelineWithItsPositions) {
  ASSERT_TRUE(enter(pool, ops(), {}).has_value());
  claim("ops", 3);
  EXPECT_EQ(forget(pool, "ops", Claimed::refuse).error().kind, ErrorKind::conflict);
  EXPECT_EQ(forget(pool, "ops", Claimed::ended), 3U);
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.offsets"), 0);
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.pipelines"), 0);
}

}  // namespace
}  // namespace penstock::offsets
