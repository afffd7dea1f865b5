#include "offsets/claims.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "harness/sql.h"
#include "offsets/migrations.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

ClaimRequest request_of(std::int32_t partition, std::optional<Offset> initial = std::nullopt,
                        const std::string& topic = "t") {
  return {
      .id = {0, partition}, .topic = topic, .cluster_id = {}, .topic_id = {}, .initial = initial};
}

// A session of another process, such as a lane of the previous owner.
class Session {
 public:
  Session(const std::string& conninfo, const std::string& application_name)
      : sql_(*harness::Sql::connect(conninfo + " application_name=" + application_name)),
        pid(std::stoi(*sql_.value("SELECT pg_backend_pid()"))) {}

  // Begins a transaction that holds this partition of "t" and moves it on.
  void advance_in_transaction(int partition, int epoch, int from, int to) {
    const auto text = [](int number) { return "'{" + std::to_string(number) + "}'"; };
    const auto done = sql_.execute("BEGIN; SELECT penstock.advance('p', '{t}', " + text(partition) +
                                   ", " + text(epoch) + ", " + text(from) + ", " + text(to) + ")");
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
  }

  [[nodiscard]] Claims::Options options(const std::string& owner = "me") const {
    return {.conninfo = database.conninfo(),
            .pipeline = "p",
            .owner = owner,
            .lock_timeout = 10s,
            .connect_timeout = 5s};
  }
  [[nodiscard]] Claims::Options impatient() const {
    Claims::Options hasty = options();
    hasty.lock_timeout = 300ms;
    return hasty;
  }

  static std::vector<ClaimAnswer> claim(Claims& claims, const std::vector<ClaimRequest>& requests) {
    auto answers = claims.claim(requests);
    EXPECT_TRUE(answers.has_value()) << answers.error().to_string();
    return answers ? *std::move(answers) : std::vector<ClaimAnswer>(requests.size());
  }
  static ClaimAnswer claim(Claims& claims, const ClaimRequest& request) {
    return claim(claims, std::vector{request}).front();
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
};

TEST_F(ClaimsTest, AsksWhereToBeginAndChangesNothing) {
  Claims claims(options());
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_TRUE(answer.needs_initial);
  EXPECT_EQ(answer.epoch, Epoch::none);
  EXPECT_EQ(database.number("SELECT count(*) FROM penstock.offsets"), 0);
}

TEST_F(ClaimsTest, BeginsAtTheInitialOffsetOnlyOnce) {
  Claims claims(options());
  const ClaimAnswer first = claim(claims, request_of(0, 40));
  EXPECT_FALSE(first.needs_initial);
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
  Claims claims(options());
  claim(claims, {request_of(2, 20), request_of(0, 0), request_of(1, 10, "u")});
  const auto answers = claim(claims, {request_of(1, std::nullopt, "u"), request_of(5),
                                      request_of(2), request_of(0), request_of(7, 70)});
  ASSERT_EQ(answers.size(), 5U);
  EXPECT_EQ(answers[0].next_offset, 10);
  EXPECT_EQ(answers[0].id.partition, 1);
  EXPECT_TRUE(answers[1].needs_initial);
  EXPECT_EQ(answers[2].next_offset, 20);
  EXPECT_EQ(answers[2].epoch, Epoch{2});
  EXPECT_EQ(answers[3].next_offset, 0);
  EXPECT_EQ(answers[4].next_offset, 70);
  EXPECT_EQ(answers[4].epoch, Epoch{1});
  EXPECT_TRUE(claim(claims, std::vector<ClaimRequest>{}).empty());
}

TEST_F(ClaimsTest, KeepsPipelinesApart) {
  Claims claims(options());
  claim(claims, request_of(0, 40));
  Claims::Options other = options();
  other.pipeline = "q";
  Claims others(other);
  EXPECT_TRUE(claim(others, request_of(0)).needs_initial);
}

TEST_F(ClaimsTest, FencesThePreviousOwner) {
  Claims claims(options());
  claim(claims, request_of(0, 0));
  claim(claims, request_of(0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  const auto refused =
      zombie.execute("SELECT penstock.advance('p', '{t}', '{0}', '{1}', '{0}', '{5}')");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().sqlstate, "PS001");
  EXPECT_TRUE(zombie.execute("SELECT penstock.advance('p', '{t}', '{0}', '{2}', '{0}', '{5}')")
                  .has_value());
}

TEST_F(ClaimsTest, NeverGivesAnEpochAgainThoughTheDatabaseWentBack) {
  Claims claims(options());
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{1});
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{2});
  database.execute("UPDATE penstock.offsets SET epoch = 1");
  EXPECT_EQ(claim(claims, request_of(0, 5)).epoch, Epoch{3});
  database.execute("DELETE FROM penstock.offsets");
  const ClaimAnswer answer = claim(claims, request_of(0, 7));
  EXPECT_EQ(answer.epoch, Epoch{4});
  EXPECT_EQ(answer.next_offset, 7);
  EXPECT_EQ(claim(claims, request_of(1, 0)).epoch, Epoch{1});
}

TEST_F(ClaimsTest, IsDurableThoughCommitsAreAsynchronous) {
  database.execute(
      "CREATE TABLE seen (setting text);"
      "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NEW; END $$;"
      "CREATE TRIGGER look BEFORE INSERT ON penstock.offsets FOR EACH ROW EXECUTE FUNCTION look()");
  for (const std::string setting : {"off", "remote_apply"}) {
    Claims::Options chosen = options();
    chosen.conninfo += " options='-c synchronous_commit=" + setting + "'";
    Claims claims(chosen);
    claim(claims, request_of(0, 0));
  }
  EXPECT_EQ(database.value("SELECT string_agg(setting, ',' ORDER BY setting) FROM seen"),
            "on,remote_apply");
}

TEST_F(ClaimsTest, RefusesAnotherClusterAndARecreatedTopic) {
  Claims claims(options());
  ClaimRequest mine = request_of(0, 40);
  mine.cluster_id = "A";
  mine.topic_id = "T1";
  claim(claims, mine);

  ClaimRequest other_cluster = mine;
  other_cluster.cluster_id = "B";
  const auto answers = claim(claims, {other_cluster, request_of(1, 0)});
  EXPECT_NE(answers[0].refused_reason.find("belongs to the Kafka cluster 'A'"), std::string::npos)
      << answers[0].refused_reason;
  EXPECT_EQ(answers[0].epoch, Epoch::none);
  EXPECT_EQ(answers[1].epoch, Epoch{1}) << "one refusal must not hold up the others";

  ClaimRequest recreated = mine;
  recreated.topic_id = "T2";
  const ClaimAnswer refused = claim(claims, recreated);
  EXPECT_NE(refused.refused_reason.find("deleted and made again"), std::string::npos);
  EXPECT_EQ(database.number("SELECT epoch FROM penstock.offsets WHERE partition = 0"), 1);

  // The way out that it names works.
  const std::size_t begin = refused.refused_reason.find("DELETE");
  database.execute(
      refused.refused_reason.substr(begin, refused.refused_reason.find(';', begin) - begin));
  EXPECT_EQ(claim(claims, recreated).epoch, Epoch{2});
}

TEST_F(ClaimsTest, LearnsIdentitiesAndDoesNotCompareUnknownOnes) {
  Claims claims(options());
  claim(claims, request_of(0, 0));
  ClaimRequest known = request_of(0);
  known.cluster_id = "A";
  known.topic_id = "T1";
  EXPECT_EQ(claim(claims, known).refused_reason, "");
  EXPECT_EQ(claim(claims, request_of(0)).refused_reason, "") << "an old broker does not say";
  EXPECT_EQ(database.value("SELECT cluster_id || topic_id FROM penstock.offsets"), "AT1");
}

TEST_F(ClaimsTest, WaitsForATransactionInFlightAndSeesItsCommit) {
  Claims claims(options());
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
  Claims claims(impatient());
  claim(claims, request_of(0, 0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  zombie.advance_in_transaction(0, 1, 0, 7);
  const ClaimAnswer answer = claim(claims, request_of(0));
  EXPECT_EQ(answer.epoch, Epoch{2});
  EXPECT_EQ(answer.next_offset, 0) << "what the zombie had not committed never happened";
  EXPECT_EQ(claims.counters().lock_timeouts, 1U);
  EXPECT_EQ(claims.counters().terminated_backends, 1U);
  EXPECT_FALSE(zombie.execute("COMMIT").has_value());
}

TEST_F(ClaimsTest, EndsOnlyTheOneThatBothClaimsWaitFor) {
  Claims first(impatient());
  Claims second(impatient());
  claim(first, request_of(0, 0));
  Session zombie(database.conninfo(), "penstock/p/lane-0");
  zombie.advance_in_transaction(0, 1, 0, 7);
  auto one = std::async(std::launch::async, [&] { return claim(first, request_of(0)); });
  auto two = std::async(std::launch::async, [&] { return claim(second, request_of(0)); });
  const std::set<Epoch> epochs{one.get().epoch, two.get().epoch};
  EXPECT_EQ(epochs, (std::set<Epoch>{Epoch{2}, Epoch{3}}));
  EXPECT_EQ(first.counters().terminated_backends + second.counters().terminated_backends, 1U);
}

TEST_F(ClaimsTest, LeavesStrangersAloneAndNamesThem) {
  Claims claims(impatient());
  claim(claims, request_of(0, 0));
  Session person(database.conninfo(), "psql");
  ASSERT_TRUE(person.execute("BEGIN; SELECT * FROM penstock.offsets FOR UPDATE").has_value());
  const auto answers = claims.claim(std::vector{request_of(0)});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::deadline_exceeded);
  EXPECT_NE(answers.error().message.find("pid " + std::to_string(person.pid) + " (psql, role "),
            std::string::npos)
      << answers.error().message;
  EXPECT_EQ(claims.counters().terminated_backends, 0U);
  EXPECT_TRUE(person.execute("COMMIT").has_value()) << "the person's session still lives";
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
}

TEST_F(ClaimsTest, SaysWhichRightIsMissingToEndABackend) {
  const std::string role = test::unique_name("service");
  database.execute("CREATE ROLE " + role +
                   " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock TO " + role +
                   "; GRANT ALL ON ALL TABLES IN SCHEMA penstock TO " + role);
  {
    Claims::Options weak = impatient();
    weak.conninfo += " user=" + role + " password=x";
    Claims claims(weak);
    claim(claims, request_of(0, 0));
    Session zombie(database.conninfo(), "penstock/p/lane-0");  // of a superuser
    zombie.advance_in_transaction(0, 1, 0, 7);
    const auto answers = claims.claim(std::vector{request_of(0)});
    ASSERT_FALSE(answers.has_value());
    EXPECT_EQ(answers.error().kind, ErrorKind::permission_denied);
    EXPECT_NE(answers.error().hint.find("pg_signal_backend"), std::string::npos);
  }
  database.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(ClaimsTest, GivesEveryClaimItsOwnEpoch) {
  constexpr int kClaimers = 4;
  constexpr int kClaims = 10;
  std::vector<std::future<std::vector<Epoch>>> runs;
  for (int i = 0; i < kClaimers; ++i) {
    runs.push_back(std::async(std::launch::async, [this] {
      Claims claims(options());
      std::vector<Epoch> epochs;
      for (int n = 0; n < kClaims; ++n) {
        // The first ones race for the INSERT; the order of the two must not matter.
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
  Claims claims(options());
  claim(claims, {request_of(0, 0), request_of(1, 0)});
  Claims other(options("other"));
  claim(other, request_of(1));
  const auto done = claims.release(std::vector<Claimed>{
      {{0, 0}, "t", Epoch{1}}, {{0, 1}, "t", Epoch{1}}, {{0, 9}, "t", Epoch{1}}});
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(owner_of(0), "");
  EXPECT_EQ(owner_of(1), "other");
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
  EXPECT_TRUE(claims.release({}).has_value());
}

TEST_F(ClaimsTest, ReadsWhatIsStored) {
  Claims claims(options());
  claim(claims, request_of(3, 33));
  const auto positions =
      claims.read(std::vector<PartitionName>{{{0, 1}, "t"}, {{0, 3}, "t"}, {{0, 3}, "t"}});
  ASSERT_TRUE(positions.has_value()) << positions.error().to_string();
  ASSERT_EQ(positions->size(), 3U);
  EXPECT_FALSE((*positions)[0].stored);
  EXPECT_EQ((*positions)[0].id.partition, 1);
  EXPECT_TRUE((*positions)[1].stored);
  EXPECT_EQ((*positions)[1].next_offset, 33);
  EXPECT_EQ((*positions)[1].epoch, Epoch{1});
  EXPECT_EQ((*positions)[1].owner, "me");
  EXPECT_TRUE(claims.read({})->empty());
}

TEST_F(ClaimsTest, ConnectsAgainWhenTheConnectionWasEnded) {
  Claims claims(options());
  claim(claims, request_of(0, 0));
  database.execute(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
      "application_name = 'penstock/p/claims' AND datname = current_database()");
  EXPECT_EQ(claim(claims, request_of(0)).epoch, Epoch{2});
  EXPECT_EQ(claims.counters().reconnects, 1U);
}

TEST_F(ClaimsTest, WorksWhateverTheRoleDefaultsTo) {
  database.execute("ALTER DATABASE " + database.name() +
                   " SET default_transaction_isolation = 'serializable'");
  database.execute("ALTER DATABASE " + database.name() + " SET statement_timeout = '1h'");
  Claims claims(options());
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
  Claims claims(options());
  const auto answers = claims.claim(std::vector{request_of(0, 0)});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::unavailable);
  EXPECT_NE(answers.error().message.find("read-only"), std::string::npos)
      << answers.error().message;
}

TEST_F(ClaimsTest, SaysThatTheSchemaIsMissing) {
  test::TestDatabase empty;
  Claims::Options other = options();
  other.conninfo = empty.conninfo();
  Claims claims(other);
  const auto answers = claims.claim(std::vector{request_of(0, 0)});
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().kind, ErrorKind::not_found);
  EXPECT_NE(answers.error().hint.find("penstock migrate up"), std::string::npos);
}

TEST_F(ClaimsTest, TellsConfigurationFromOutage) {
  const auto error_with = [&](const std::string& conninfo) {
    Claims::Options other = options();
    other.conninfo = conninfo;
    Claims claims(other);
    const auto answers = claims.claim(std::vector{request_of(0, 0)});
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
