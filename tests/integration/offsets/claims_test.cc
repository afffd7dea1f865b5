#include "offsets/claims.h"
#include "offsets/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <iostream>
#include <set>

#include "harness/sql.h"
#include "integration/offsets/begin_at.h"
#include "integration/offsets/chain_of.h"
#include "offsets/migrations.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

// A request, and where its partition begins if it has not yet.
struct Wish : ClaimRequest {
  std::optional<Offset> initial;
};

Wish request_of(std::int32_t partition, std::optional<Offset> initial = std::nullopt,
                const std::string& topic = "t") {
  return {{.id = {0, partition}, .topic = topic, .cluster_id = {}, .topic_id = {}}, initial};
}

// A session of another process, such as a lane of the previous owner.
class Session {
 public:
  Session(const std::string& conninfo, const std::string& application_name)
      : sql_(*harness::Sql::connect(conninfo + " application_name=" + application_name)),
        pid(std::stoi(*sql_.value("SELECT pg_backend_pid()"))) {}

  // Begins a transaction that holds this partition of "t" and moves it on.
  void advance_in_transaction(int partition, int epoch, int from, int to, int leader_epoch = -1) {
    const auto text = [](int number) { return "'{" + std::to_string(number) + "}'"; };
    const auto done = sql_.execute("BEGIN; SELECT penstock.advance('p', '{t}', " + text(partition) +
                                   ", " + text(epoch) + ", " + text(from) + ", " + text(to) + ", " +
                                   text(leader_epoch) + ")");
    ASSERT_TRUE(done.has_value()) << done.error().to_string();
  }
  Result<void> execute(const std::string& statements) { return sql_.execute(statements); }

 private:
  harness::Sql sql_;

 public:
  const int pid;
};

class ClaimsTest : public testing::Test {
 protected:
  ClaimsTest() {
    if (const auto done = migrate_up(database.conninfo()); !done) {
      throw std::runtime_error(done.error().to_string());
    }
    enter_pipeline();
  }

  void enter_pipeline() {
    const auto entered = enter(
        pool,
        {.pipeline = "p", .group = "g", .cluster_id = {}, .topics = {"t"}, .tables = {"public.t"}},
        {});
    if (!entered) throw std::runtime_error(entered.error().to_string());
  }

  [[nodiscard]] Claims::Options options(const std::string& owner = "me") const {
    return {.pipeline = "p", .owner = owner, .lock_timeout = 10s};
  }
  [[nodiscard]] Claims::Options waits_for(std::chrono::milliseconds patience) const {
    Claims::Options chosen = options();
    chosen.lock_timeout = patience;
    return chosen;
  }
  [[nodiscard]] Claims::Options impatient() const { return waits_for(300ms); }

  static std::vector<ClaimAnswer> claim(Claims& claims, const std::vector<Wish>& wishes) {
    std::vector<ClaimRequest> requests;
    for (const Wish& wish : wishes) {
      requests.push_back(wish);
      if (!wish.initial) continue;
      const auto begun = claims.begin_topic({.topic = wish.topic,
                                             .cluster_id = wish.cluster_id,
                                             .topic_id = wish.topic_id,
                                             .first = wish.id.partition,
                                             .offsets = {wish.initial}},
                                            {});
      EXPECT_TRUE(begun.has_value()) << begun.error().to_string();
    }
    auto answers = claims.claim(requests, {});
    EXPECT_TRUE(answers.has_value()) << answers.error().to_string();
    return answers ? *std::move(answers) : std::vector<ClaimAnswer>(requests.size());
  }
  static ClaimAnswer claim(Claims& claims, const Wish& wish) {
    return claim(claims, std::vector{wish}).front();
  }
  // How many sessions wait for a lock in this database.
  std::int64_t waiting() {
    return database.number(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()");
  }
  std::string owner_of(int partition) {
    return database.value("SELECT owner FROM penstock.offsets WHERE partition = " +
                          std::to_string(partition));
  }

  test::TestDatabase database;
  postgres::Pool pool{{.conninfo = database.conninfo()}};
};

TEST_F(ClaimsTest, SaysThatATopicHasNotBegunAndChangesNothing) {
  Claims claims(options(), pool);
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_TRUE(answer.not_begun);
  EXPECT_EQ(answer.epoch, Epoch::none);
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.offsets"), 0);
}

TEST_F(ClaimsTest, BeginsAtTheInitialOffsetOnlyOnce) {
  Claims claims(options(), pool);
  const ClaimAnswer first = claim(claims, request_of(0, 40));
  EXPECT_FALSE(first.not_begun);
  EXPECT_EQ(first.epoch, Epoch{1});
  EXPECT_EQ(first.next_offset, 40);
  const ClaimAnswer second = claim(claims, request_of(0, 90));
  EXPECT_EQ(second.epoch, Epoch{2});
  EXPECT_EQ(second.next_offset, 40) << "what is stored counts, not where someone would begin";
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{3});
  EXPECT_EQ(owner_of(0), "me");
  EXPECT_EQ(claims.counters().claims, 3U);
}

TEST_F(ClaimsTest, AnswersInTheOrderOfTheRequests) {
  Claims claims(options(), pool);
  claim(claims, {request_of(2, 20), request_of(0, 0), request_of(1, 10, "u")});
  const auto answers = claim(claims, {request_of(1, std::nullopt, "u"), request_of(5),
                                      request_of(2), request_of(0), request_of(7, 70)});
  ASSERT_EQ(answers.size(), 5U);
  EXPECT_EQ(answers[0].next_offset, 10);
  EXPECT_EQ(answers[0].id.partition, 1);
  EXPECT_TRUE(answers[1].not_begun);
  EXPECT_EQ(answers[2].next_offset, 20);
  EXPECT_EQ(answers[2].epoch, Epoch{2});
  EXPECT_EQ(answers[3].next_offset, 0);
  EXPECT_EQ(answers[4].next_offset, 70);
  EXPECT_EQ(answers[4].epoch, Epoch{1});
  EXPECT_TRUE(claim(claims, std::vector<Wish>{}).empty());
}

TEST_F(ClaimsTest, ATopicBeginsOnceAndNewPartitionsOfItLater) {
  Claims claims(options(), pool);
  Claims others(options("other"), pool);
  ASSERT_TRUE(test::begin_at(claims, {Offset{10}, Offset{20}}));
  ASSERT_TRUE(test::begin_at(others, {Offset{11}, Offset{21}})) << "and changes nothing";
  EXPECT_EQ(claim(others, request_of(0)).next_offset, 10);
  EXPECT_EQ(claim(others, request_of(1)).next_offset, 20);
  const ClaimAnswer grown = claim(claims, request_of(3));
  EXPECT_TRUE(grown.not_begun);
  EXPECT_EQ(grown.begun, 2);
  ASSERT_TRUE(test::begin_at(claims, {Offset{0}, Offset{0}}, 2));
  EXPECT_EQ(claim(claims, request_of(3)).next_offset, 0);
  EXPECT_EQ(database.value("SELECT partitions FROM penstock.pipelines"), R"({"t": 4})");
  EXPECT_EQ(owner_of(2), "") << "it has a position, and nobody has claimed it yet";
}

TEST_F(ClaimsTest, APartitionWhoseBeginningIsNotKnownBeginsLater) {
  Claims claims(options(), pool);
  ASSERT_TRUE(test::begin_at(claims, {Offset{10}, std::nullopt, Offset{30}}));
  EXPECT_EQ(claim(claims, request_of(2)).next_offset, 30);
  const ClaimAnswer answer = claim(claims, request_of(1));
  EXPECT_TRUE(answer.not_begun);
  EXPECT_EQ(answer.begun, 1);
  ASSERT_TRUE(test::begin_at(claims, {Offset{20}, Offset{0}}, 1));
  EXPECT_EQ(claim(claims, request_of(1)).next_offset, 20);
  EXPECT_EQ(claim(claims, request_of(2)).next_offset, 30);
  EXPECT_EQ(database.value("SELECT partitions FROM penstock.pipelines"), R"({"t": 3})");
}

TEST_F(ClaimsTest, RefusesAPartitionWhosePositionSomebodyDeleted) {
  Claims claims(options(), pool);
  ASSERT_TRUE(test::begin_at(claims, {Offset{10}, Offset{20}}));
  Wish mine = request_of(1);
  claim(claims, mine);
  database.execute("DELETE FROM penstock.offsets WHERE partition = 1");
  mine.committed = 25;
  const auto answers = claim(claims, {request_of(0), mine});
  EXPECT_EQ(answers[0].epoch, Epoch{1}) << "one refusal must not hold up the others";
  EXPECT_EQ(answers[1].epoch, Epoch::none);
  EXPECT_FALSE(answers[1].not_begun);
  EXPECT_THAT(answers[1].refused_reason,
              AllOf(HasSubstr("somebody deleted its row in penstock.offsets"),
                    HasSubstr("seen it committed up to position 25"),
                    HasSubstr("penstock offsets reset p --topic t --partition 1 --to 25 --config "
                              "FILE")));
  ASSERT_TRUE(test::begin_at(claims, {Offset{0}, Offset{0}})) << "and changes nothing";
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.offsets"), 1);

  // Another process knows no more than that it is gone.
  Claims others(options("other"), pool);
  EXPECT_THAT(claim(others, request_of(1)).refused_reason,
              HasSubstr("penstock offsets reset p --topic t --partition 1 --to OFFSET"));
  // The way out that it names works.
  ASSERT_TRUE(
      offsets::reset(pool, "p", "", "t", "", {{.partition = 1, .next_offset = 25}}).has_value());
  const ClaimAnswer answer = claim(claims, mine);
  EXPECT_EQ(answer.refused_reason, "");
  EXPECT_EQ(answer.next_offset, 25);
}

TEST_F(ClaimsTest, BeginsNoPartitionOfATopicThatWasMadeAgainWithMore) {
  Claims claims(options(), pool);
  Wish mine = request_of(0, 40);
  mine.topic_id = "T1";
  claim(claims, mine);
  Wish more = request_of(1);
  more.topic_id = "T2";
  const ClaimAnswer answer = claim(claims, more);
  EXPECT_FALSE(answer.not_begun);
  EXPECT_TRUE(answer.refused_reason.contains(
      "position 40 of topic 't', partition 0 belongs to an earlier topic of that name"))
      << answer.refused_reason;
  more.topic_id = "T1";
  EXPECT_TRUE(claim(claims, more).not_begun) << "one that was added to the same topic";
}

TEST_F(ClaimsTest, TakesAPartitionThatHadAPositionForBegunThoughTheEntryIsNew) {
  Claims claims(options(), pool);
  ASSERT_TRUE(test::begin_at(claims, {Offset{10}, Offset{20}, Offset{30}}));
  database.execute(
      "DELETE FROM penstock.pipelines; DELETE FROM penstock.offsets WHERE partition = 1");
  enter_pipeline();
  const ClaimAnswer answer = claim(claims, request_of(1));
  EXPECT_FALSE(answer.not_begun);
  EXPECT_TRUE(answer.refused_reason.contains("somebody deleted its row")) << answer.refused_reason;
  EXPECT_EQ(claim(claims, request_of(2)).next_offset, 30);
}

TEST_F(ClaimsTest, BeginsNothingUnderANameThatIsNoPipelinesAnyMore) {
  Claims claims(options(), pool);
  ASSERT_TRUE(test::begin_at(claims, {Offset{10}}));
  EXPECT_EQ(claim(claims, request_of(0)).next_offset, 10);
  ASSERT_TRUE(offsets::rename(pool, "p", "q", Claimed::ended).has_value());
  for (const std::int32_t partition : {0, 1}) {
    const ClaimAnswer answer = claim(claims, request_of(partition));
    EXPECT_FALSE(answer.not_begun);
    EXPECT_TRUE(answer.refused_reason.contains("no entry in penstock.pipelines any more"))
        << answer.refused_reason;
    EXPECT_TRUE(answer.is_refused_for_good);
  }
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.offsets WHERE pipeline = 'p'"), 0);
}

TEST_F(ClaimsTest, BeginsWhatAResetGaveAPositionBeforeItsFirstStart) {
  ASSERT_TRUE(offsets::reset(pool, "p", "", "t", "",
                             {{.partition = 0, .next_offset = 7}, {.partition = 1}}));
  Claims claims(options(), pool);
  EXPECT_EQ(claim(claims, request_of(0)).next_offset, 7);
  EXPECT_EQ(claim(claims, request_of(2)).begun, 2) << "what is new begins at its beginning";
}

TEST_F(ClaimsTest, KeepsPipelinesApart) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 40));
  Claims::Options other = options();
  other.pipeline = "q";
  ASSERT_TRUE(enter(pool,
                    {.pipeline = "q",
                     .group = "other",
                     .cluster_id = {},
                     .topics = {"t"},
                     .tables = {"public.t"}},
                    {}));
  Claims others(other, pool);
  EXPECT_TRUE(claim(others, request_of(0)).not_begun);
}

TEST_F(ClaimsTest, FencesThePreviousOwner) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  claim(claims, request_of(0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  const auto refused =
      zombie.execute("SELECT penstock.advance('p', '{t}', '{0}', '{1}', '{0}', '{5}', '{0}')");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().sqlstate, "PS001");
  EXPECT_TRUE(
      zombie.execute("SELECT penstock.advance('p', '{t}', '{0}', '{2}', '{0}', '{5}', '{0}')")
          .has_value());
}

TEST_F(ClaimsTest, NeverGivesAnEpochAgainThoughTheDatabaseWentBack) {
  Claims claims(options(), pool);
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{1});
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{2});
  database.execute("UPDATE penstock.offsets SET epoch = 1");
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{3});
  database.execute("DELETE FROM penstock.offsets; UPDATE penstock.pipelines SET partitions = '{}'");
  const ClaimAnswer answer = claim(claims, request_of(0, 7));
  EXPECT_EQ(answer.epoch, Epoch{4});
  EXPECT_EQ(answer.next_offset, 7);
  EXPECT_EQ(claim(claims, request_of(1, 0)).epoch, Epoch{1});
}

TEST_F(ClaimsTest, IsDurableThoughCommitsAreAsynchronous) {
  database.execute(
      "CREATE TABLE seen (setting text);"
      "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO public.seen SELECT current_setting('synchronous_commit'); RETURN NEW; END $$;"
      "CREATE TRIGGER look BEFORE INSERT ON penstock.offsets FOR EACH ROW EXECUTE FUNCTION look()");
  std::int32_t partition = 0;
  for (const std::string setting : {"off", "remote_apply"}) {
    postgres::Pool chosen(
        {.conninfo = database.conninfo() + " options='-c synchronous_commit=" + setting + "'"});
    Claims claims(options(), chosen);
    claim(claims, request_of(partition++, 0));
  }
  EXPECT_EQ(database.value("SELECT string_agg(setting, ',' ORDER BY setting) FROM seen"),
            "on,remote_apply");
}

TEST_F(ClaimsTest, RefusesAnotherClusterAndARecreatedTopic) {
  Claims claims(options(), pool);
  Wish mine = request_of(0, 40);
  mine.cluster_id = "A";
  mine.topic_id = "T1";
  claim(claims, mine);

  Wish other_cluster = mine;
  other_cluster.cluster_id = "B";
  const auto answers = claim(claims, {other_cluster, request_of(1, 0)});
  EXPECT_NE(answers[0].refused_reason.find("belongs to the Kafka cluster 'A'"), std::string::npos)
      << answers[0].refused_reason;
  EXPECT_EQ(answers[0].epoch, Epoch::none);
  EXPECT_EQ(answers[1].epoch, Epoch{1}) << "one refusal must not hold up the others";

  Wish recreated = mine;
  recreated.topic_id = "T2";
  const ClaimAnswer refused = claim(claims, recreated);
  EXPECT_NE(refused.refused_reason.find("deleted and made again"), std::string::npos);
  EXPECT_EQ(database.number("SELECT epoch FROM penstock.offsets WHERE partition = 0"), 1);

  // The way out that it names works.
  EXPECT_TRUE(refused.refused_reason.contains(
      "penstock offsets reset p --topic t --partition 0 --to beginning --config FILE"))
      << refused.refused_reason;
  const auto reset = offsets::reset(pool, "p", "A", "t", "T2", {{.partition = 0}});
  ASSERT_TRUE(reset.has_value()) << reset.error().to_string();
  EXPECT_EQ(reset->front().was, 40);
  const ClaimAnswer answer = claim(claims, recreated);
  EXPECT_EQ(answer.epoch, Epoch{3}) << "whoever had it before is fenced twice over";
  EXPECT_EQ(answer.next_offset, 0);
}

TEST_F(ClaimsTest, BelongsToNoLeaderEpochAfterAReset) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  Session lane(database.conninfo(), "penstock/p/lane-0");
  lane.advance_in_transaction(0, 1, 0, 7, /*leader_epoch=*/4);
  ASSERT_TRUE(lane.execute("COMMIT").has_value());
  EXPECT_EQ(claim(claims, request_of(0)).leader_epoch, 4);
  ASSERT_TRUE(offsets::reset(pool, "p", "", "t", "", {{.partition = 0, .next_offset = 3}}));
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_EQ(answer.next_offset, 3);
  EXPECT_EQ(answer.leader_epoch, -1);
}

TEST_F(ClaimsTest, BeginsAboveEveryEpochWhereARowIsMadeAnew) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  database.execute("DELETE FROM penstock.offsets");
  const auto reset = offsets::reset(pool, "p", "", "t", "", {{.partition = 0, .next_offset = 9}});
  ASSERT_TRUE(reset.has_value()) << reset.error().to_string();
  EXPECT_EQ(reset->front().was, -1);
  EXPECT_GT(database.number("SELECT epoch FROM penstock.offsets"), 1'000'000'000'000);
  EXPECT_EQ(claim(claims, request_of(0)).next_offset, 9);
}

TEST_F(ClaimsTest, LearnsIdentitiesAndDoesNotCompareUnknownOnes) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  Wish known = request_of(0);
  known.cluster_id = "A";
  known.topic_id = "T1";
  EXPECT_EQ(claim(claims, known).refused_reason, "");
  EXPECT_EQ(claim(claims, request_of(0)).refused_reason, "") << "an old broker does not say";
  EXPECT_EQ(database.value("SELECT cluster_id || topic_id FROM penstock.offsets"), "AT1");
}

TEST_F(ClaimsTest, WaitsForATransactionInFlightAndSeesItsCommit) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  Session lane(database.conninfo(), "penstock/p/lane-0");
  lane.advance_in_transaction(0, 1, 0, 7);
  auto answer = std::async(std::launch::async, [&] { return claim(claims, request_of(0)); });
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));
  ASSERT_TRUE(lane.execute("COMMIT").has_value());
  const ClaimAnswer claimed = answer.get();
  EXPECT_EQ(claimed.epoch, Epoch{2});
  EXPECT_EQ(claimed.next_offset, 7);
  EXPECT_EQ(claims.counters().lock_timeouts, 0U);
}

TEST_F(ClaimsTest, EndsTheBackendOfAnOwnerThatDoesNotLetGo) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  zombie.advance_in_transaction(0, 1, 0, 7);
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_EQ(answer.epoch, Epoch{2});
  EXPECT_EQ(answer.next_offset, 0) << "what the zombie had not committed never happened";
  EXPECT_EQ(claims.counters().lock_timeouts, 1U);
  EXPECT_EQ(claims.counters().ended_backends, 1U);
  EXPECT_FALSE(zombie.execute("COMMIT").has_value());
}

TEST_F(ClaimsTest, EndsOnlyTheOneThatBothClaimsWaitFor) {
  Claims first(impatient(), pool);
  Claims second(impatient(), pool);
  claim(first, request_of(0, 0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  zombie.advance_in_transaction(0, 1, 0, 7);
  // Who meets the other one's claim instead may have to ask again.
  const auto claim_at_last = [](Claims& claims) {
    ClaimAnswer answer;
    do {
      answer = claim(claims, request_of(0));
    } while (answer.epoch == Epoch::none && !testing::Test::HasFailure());
    return answer.epoch;
  };
  auto one = std::async(std::launch::async, [&] { return claim_at_last(first); });
  auto two = std::async(std::launch::async, [&] { return claim_at_last(second); });
  const std::set<Epoch> epochs{one.get(), two.get()};
  EXPECT_EQ(epochs, (std::set<Epoch>{Epoch{2}, Epoch{3}}));
  EXPECT_GE(first.counters().ended_backends + second.counters().ended_backends, 1U);
  EXPECT_FALSE(zombie.execute("COMMIT").has_value());
  EXPECT_LE(pool.counters().connects, 2U) << "one ended the other";
}

TEST_F(ClaimsTest, LeavesStrangersAloneAndNamesThem) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person.execute("BEGIN").has_value());
  ASSERT_TRUE(person.execute("SELECT * FROM penstock.offsets FOR UPDATE").has_value());
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_EQ(answer.epoch, Epoch::none);
  EXPECT_THAT(answer.waiting_reason,
              AllOf(HasSubstr("pid " + std::to_string(person.pid) + " (psql, role "),
                    HasSubstr("idle in transaction since "), HasSubstr("; SELECT)")));
  EXPECT_EQ(claims.counters().ended_backends, 0U);
  EXPECT_TRUE(person.execute("COMMIT").has_value()) << "the person's session still lives";
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
}

TEST_F(ClaimsTest, NamesAPreparedTransaction) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  if (!person.execute("BEGIN; SELECT * FROM penstock.offsets FOR UPDATE; PREPARE TRANSACTION 'x'")
           .has_value()) {
    FAIL() << "the test server needs max_prepared_transactions";
  }
  EXPECT_THAT(claim(claims, request_of(0)).waiting_reason,
              HasSubstr("held by the prepared transaction 'x', role postgres since "));
  ASSERT_TRUE(person.execute("ROLLBACK PREPARED 'x'").has_value());
}

TEST_F(ClaimsTest, NamesWhoLocksTheWholeTable) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person.execute("BEGIN").has_value());
  ASSERT_TRUE(person.execute("alter table penstock.offsets ADD COLUMN note text").has_value());
  EXPECT_THAT(claim(claims, request_of(0)).waiting_reason,
              AllOf(HasSubstr("penstock.offsets is locked (AccessExclusiveLock) by pid " +
                              std::to_string(person.pid) + " (psql, "),
                    HasSubstr("; ALTER TABLE)")));
  ASSERT_TRUE(person.execute("ROLLBACK").has_value());
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
}

TEST_F(ClaimsTest, NamesWhoOnlyWantsTheWholeTableAndIsQueuedUpBehind) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session reader(database.conninfo(), "pg_dump");
  ASSERT_TRUE(reader.execute("BEGIN; SELECT * FROM penstock.offsets").has_value());
  Session person(database.conninfo(), "psql");
  auto altered = std::async(std::launch::async, [&] {
    return person.execute("ALTER TABLE penstock.offsets ADD COLUMN note text");
  });
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));
  EXPECT_THAT(claim(claims, request_of(0)).waiting_reason,
              HasSubstr("penstock.offsets is locked (AccessExclusiveLock, wanted) by pid " +
                        std::to_string(person.pid)));
  ASSERT_TRUE(reader.execute("COMMIT").has_value());
  ASSERT_TRUE(altered.get().has_value());
}

TEST_F(ClaimsTest, NeverEndsAStrangerWhoWasGivenTheHoldersProcessId) {
  // What a pooler or a process id that was given again look like: the row says a transaction, and
  // the session of that transaction is not one of ours by the time that it would be ended.
  Claims claims(waits_for(3s), pool);
  claim(claims, request_of(0, 0));
  Session pooled(database.conninfo(), "penstock/p/lane-0");
  pooled.advance_in_transaction(0, 1, 0, 7);
  auto answer = std::async(std::launch::async, [&] { return claim(claims, request_of(0)); });
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));
  ASSERT_TRUE(pooled.execute("SET application_name = 'accounting'").has_value());
  EXPECT_THAT(answer.get().waiting_reason, HasSubstr("(accounting, role "));
  EXPECT_EQ(claims.counters().ended_backends, 0U);
  EXPECT_TRUE(pooled.execute("COMMIT").has_value());
}

TEST_F(ClaimsTest, EndsNobodyWhoMerelyCameLater) {
  Claims claims(waits_for(3s), pool);
  claim(claims, request_of(0, 0));
  // One transaction after another, as of a lane that is at work and not stuck.
  std::atomic<bool> stop{false};
  auto lane = std::async(std::launch::async, [&] {
    Session session(database.conninfo(), "penstock/p/lane-0");
    Result<void> done;
    while (!stop && done) {
      done = session.execute(
          "BEGIN; SELECT * FROM penstock.offsets FOR UPDATE; SELECT pg_sleep(0.1); COMMIT");
    }
    return done.has_value();
  });
  for (int i = 0; i < 3; ++i) {
    ClaimAnswer answer;
    do {
      answer = claim(claims, request_of(0));
    } while (answer.epoch == Epoch::none);
  }
  stop = true;
  EXPECT_TRUE(lane.get()) << "its backend was ended";
  EXPECT_EQ(claims.counters().ended_backends, 0U);
}

TEST_F(ClaimsTest, EndsNobodyWhomItSeesForTheFirstTimeAfterWaitingForAConnection) {
  postgres::Pool narrow({.conninfo = database.conninfo(), .max_connections = 1});
  constexpr auto kPatience = 2s;
  Claims claims(waits_for(kPatience), narrow);
  claim(claims, request_of(0, 0));
  auto leased = narrow.lease({}, std::chrono::steady_clock::now() + 10s);
  ASSERT_TRUE(leased.has_value());
  std::optional<postgres::Pool::Lease> only(*std::move(leased));
  auto answer = std::async(std::launch::async, [&] { return claim(claims, request_of(0)); });
  ASSERT_TRUE(test::wait_until([&] { return narrow.counters().waiting == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(
      test::wait_until([&] { return std::chrono::steady_clock::now() > begin + kPatience; }));
  Session lane(database.conninfo(), "penstock/p/lane-0");
  lane.advance_in_transaction(0, 1, 0, 7);
  only.reset();
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));
  EXPECT_TRUE(lane.execute("COMMIT").has_value()) << "it was ended at first sight";
  EXPECT_EQ(answer.get().next_offset, 7);
  EXPECT_EQ(claims.counters().ended_backends, 0U);
}

TEST_F(ClaimsTest, AHeldRowDoesNotKeepTheOthersWaiting) {
  Claims claims(impatient(), pool);
  claim(claims, {request_of(0, 0), request_of(1, 0), request_of(2, 0)});
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person.execute("BEGIN; SELECT * FROM penstock.offsets WHERE partition = 1 FOR UPDATE")
                  .has_value());
  const auto answers =
      claim(claims, {request_of(0), request_of(1), request_of(2), request_of(3, 5)});
  EXPECT_EQ(answers[0].epoch, Epoch{2});
  EXPECT_EQ(answers[1].epoch, Epoch::none);
  EXPECT_NE(answers[1].waiting_reason, "");
  EXPECT_EQ(answers[2].epoch, Epoch{2});
  EXPECT_EQ(answers[3].epoch, Epoch{1});
  EXPECT_EQ(answers[3].next_offset, 5);
}

TEST_F(ClaimsTest, AHeldRowDoesNotKeepOtherPipelinesWaiting) {
  postgres::Pool narrow({.conninfo = database.conninfo(), .max_connections = 1});
  Claims claims(options(), narrow);  // patient: for 10 s
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person.execute("BEGIN; SELECT * FROM penstock.offsets FOR UPDATE").has_value());
  auto patient = std::async(std::launch::async, [&] { return claim(claims, request_of(0)); });
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));

  Claims others({.pipeline = "q", .owner = "me"}, narrow);
  EXPECT_EQ(claim(others, request_of(0, 0)).epoch, Epoch{1});
  EXPECT_EQ(patient.wait_for(0s), std::future_status::timeout) << "it was served in between";
  ASSERT_TRUE(person.execute("COMMIT").has_value());
  EXPECT_EQ(patient.get().epoch, Epoch{2});
}

TEST_F(ClaimsTest, ARowThatSomebodyIsMakingDoesNotKeepTheOthersWaiting) {
  Claims claims(impatient(), pool);
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person
                  .execute("BEGIN; INSERT INTO penstock.offsets (pipeline, topic, partition, "
                           "next_offset, epoch, owner, backend_pid, cluster_id, topic_id) "
                           "VALUES ('p', 't', 1, 0, 1, '', 0, '', '')")
                  .has_value());
  const auto answers = claim(claims, {request_of(0), request_of(1)});
  EXPECT_EQ(answers[0].epoch, Epoch{2});
  EXPECT_TRUE(answers[1].not_begun);
  const auto begun = test::begin_at(claims, {Offset{5}}, 1);
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(begun.error().kind, ErrorKind::deadline_exceeded);
  EXPECT_THAT(begun.error().message,
              HasSubstr("perhaps by pid " + std::to_string(person.pid) + " (psql, "));
}

TEST_F(ClaimsTest, SaysWhichRightIsMissingToEndABackend) {
  const std::string role = test::unique_name("service");
  database.execute("CREATE ROLE " + role +
                   " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock TO " + role +
                   "; GRANT ALL ON ALL TABLES IN SCHEMA penstock TO " + role);
  {
    postgres::Pool weak({.conninfo = database.conninfo() + " user=" + role + " password=x"});
    Claims claims(impatient(), weak);
    claim(claims, request_of(0, 0));
    Session zombie(database.conninfo(), "penstock/p/lane-0");  // of a superuser
    zombie.advance_in_transaction(0, 1, 0, 7);
    EXPECT_THAT(claim(claims, request_of(0)).waiting_reason,
                AllOf(HasSubstr("pid " + std::to_string(zombie.pid)),
                      HasSubstr("this role may not end"), HasSubstr("pg_signal_backend")));
  }
  database.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(ClaimsTest, ClaimsAThousandPartitionsWithinASecond) {
  Claims claims(options(), pool);
  ASSERT_TRUE(test::begin_at(claims, std::vector<std::optional<Offset>>(1'000, Offset{0})));
  std::vector<Wish> requests;
  for (std::int32_t partition = 0; partition < 1'000; ++partition) {
    requests.push_back(request_of(partition));
  }
  for (const char* what : {"first_ms", "again_ms"}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answers = claim(claims, requests);
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_TRUE(std::ranges::all_of(
        answers, [](const ClaimAnswer& answer) { return answer.epoch != Epoch::none; }));
    EXPECT_LT(took, 5s);  // the machine may be busy; alone it is far below a second
    RecordProperty(what, std::to_string(took / 1ms));
    std::cout << what << ' ' << took / 1ms << "\n";
  }
}

TEST_F(ClaimsTest, GivesEveryClaimItsOwnEpoch) {
  constexpr int kClaimers = 4;
  constexpr int kClaims = 10;
  std::vector<std::future<std::vector<Epoch>>> runs;
  for (int i = 0; i < kClaimers; ++i) {
    runs.push_back(std::async(std::launch::async, [this] {
      postgres::Pool own({.conninfo = database.conninfo()});
      Claims claims(options(), own);
      std::vector<Epoch> epochs;
      for (int n = 0; n < kClaims; ++n) {
        // The first ones race for the beginning; the order of the two must not matter.
        const auto answers = claim(claims, {request_of(n % 2, 0), request_of(1 - n % 2, 0)});
        epochs.push_back(answers[n % 2 == 0 ? 0 : 1].epoch);
      }
      return epochs;
    }));
  }
  std::set<Epoch> all;
  for (auto& run : runs) {
    for (const Epoch epoch : run.get()) all.insert(epoch);
  }
  EXPECT_EQ(all.size(), std::size_t{kClaimers * kClaims});
  EXPECT_EQ(*all.rbegin(), Epoch{kClaimers * kClaims});
}

TEST_F(ClaimsTest, GivesUpOnlyWhatIsStillItsOwn) {
  Claims claims(options(), pool);
  claim(claims, {request_of(0, 0), request_of(1, 0)});
  Claims other(options("other"), pool);
  claim(other, request_of(1));
  const auto done = claims.release(
      std::vector{test::chain_of(0, 1), test::chain_of(1, 1), test::chain_of(9, 1)}, {});
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(owner_of(0), "");
  EXPECT_EQ(owner_of(1), "other");
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
  EXPECT_TRUE(claims.release({}, {}).has_value());
}

TEST_F(ClaimsTest, DoesNotWaitForARowThatItOnlyGivesUp) {
  Claims claims(options(), pool);
  claim(claims, {request_of(0, 0), request_of(1, 0)});
  Session next(database.conninfo(), "penstock/p/claims");
  ASSERT_TRUE(next.execute("BEGIN; SELECT * FROM penstock.offsets WHERE partition = 0 FOR UPDATE")
                  .has_value());
  const auto done = claims.release(std::vector{test::chain_of(0, 1), test::chain_of(1, 1)}, {});
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(owner_of(0), "me");
  EXPECT_EQ(owner_of(1), "");
}

TEST_F(ClaimsTest, ConnectsAgainWhenTheConnectionWasEnded) {
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  database.execute(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
      "application_name = 'penstock/shared' AND datname = current_database()");
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
  EXPECT_EQ(pool.counters().connects, 2U);
}

TEST_F(ClaimsTest, WorksWhateverTheRoleDefaultsTo) {
  database.execute("ALTER DATABASE " + database.name() +
                   " SET default_transaction_isolation = 'serializable'");
  database.execute("ALTER DATABASE " + database.name() + " SET statement_timeout = '1h'");
  Claims claims(options(), pool);
  claim(claims, request_of(0, 0));
  Session lane(database.conninfo(), "penstock/p/lane-0");
  ASSERT_TRUE(lane.execute("SET default_transaction_isolation = 'read committed'").has_value());
  lane.advance_in_transaction(0, 1, 0, 7);
  auto answer = std::async(std::launch::async, [&] { return claim(claims, request_of(0)); });
  ASSERT_TRUE(test::wait_until([&] { return waiting() == 1; }));
  ASSERT_TRUE(lane.execute("COMMIT").has_value());
  EXPECT_EQ(answer.get().next_offset, 7) << "serializable would have failed here";
}

TEST_F(ClaimsTest, NeverUsesAServerThatCannotBeWrittenTo) {
  database.execute("ALTER DATABASE " + database.name() + " SET default_transaction_read_only = on");
  postgres::Pool later({.conninfo = database.conninfo()});
  Claims claims(options(), later);
  const auto answers = claims.claim(std::vector<ClaimRequest>{request_of(0)}, {});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::unavailable);
  EXPECT_NE(answers.error().message.find("read-only"), std::string::npos)
      << answers.error().message;
}

TEST_F(ClaimsTest, SaysThatTheSchemaIsMissing) {
  test::TestDatabase empty;
  postgres::Pool other({.conninfo = empty.conninfo()});
  Claims claims(options(), other);
  const auto answers = claims.claim(std::vector<ClaimRequest>{request_of(0)}, {});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::not_found);
  EXPECT_NE(answers.error().hint.find("penstock migrate up"), std::string::npos);
}

TEST_F(ClaimsTest, TellsConfigurationFromOutage) {
  const auto error_with = [&](const std::string& conninfo) {
    postgres::Pool other({.conninfo = conninfo});
    Claims claims(options(), other);
    const auto answers = claims.claim(std::vector<ClaimRequest>{request_of(0)}, {});
    EXPECT_FALSE(answers.has_value());
    return answers ? Error{} : answers.error();
  };
  EXPECT_EQ(error_with(database.conninfo() + " dbname=nowhere_" + database.name()).kind,
            ErrorKind::not_found);
  EXPECT_EQ(error_with(database.conninfo() + " user=nobody_" + database.name()).kind,
            ErrorKind::permission_denied);
}

}  // namespace
}  // namespace penstock::offsets
