#include "postgres/reach.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/servers.h"
#include "support/tcp_proxy.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;
using Verdict = Reach::Verdict;

class ReachTest : public testing::Test {
 protected:
  [[nodiscard]] Reach::Options options(const std::string& conninfo) const {
    return {.conninfo = conninfo, .timeout = 1s, .pause = 50ms, .second_look = 200ms};
  }

  std::uint16_t port() {
    return static_cast<std::uint16_t>(database.number("SELECT current_setting('port')::int"));
  }

  // A connection of ours, and who it is.
  std::unique_ptr<Connection> connect() {
    const std::vector<Connection::Setting> name{{"application_name", "penstock/lane-0"}};
    auto opened = Connection::open(database.conninfo(), {}, name, 5s, wakeup);
    EXPECT_TRUE(opened) << opened.error().error.to_string();
    auto who = (*opened)->execute(
        "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()");
    EXPECT_TRUE(who);
    identity = {who->string(0, 0), who->string(0, 1), "penstock/lane-0"};
    return std::move(*opened);
  }

  static std::optional<Verdict> verdict(Reach& reach, const BackendIdentity& backend) {
    const auto question = reach.ask(backend, std::chrono::steady_clock::now());
    if (!test::wait_until([&] { return question->answer().has_value(); })) return std::nullopt;
    return question->answer()->verdict;
  }

  test::TestDatabase database;
  Wakeup wakeup{system_clock()};
  BackendIdentity identity;
};

TEST_F(ReachTest, TellsABackendThatWorksFromOneThatWaitsForUs) {
  Reach reach(options(database.conninfo()));
  const auto connection = connect();
  // It has answered a moment before it waits.
  const auto waits = [&] {
    return test::wait_until([&] { return verdict(reach, identity) == Verdict::waits; });
  };
  EXPECT_TRUE(waits()) << "idle";
  ASSERT_TRUE(connection->execute("CREATE TABLE t (n int); BEGIN"));
  EXPECT_TRUE(waits()) << "idle in a transaction";
  ASSERT_TRUE(connection->begin_copy("COPY t FROM STDIN"));
  EXPECT_TRUE(waits()) << "active, for the rest of a COPY";
  ASSERT_TRUE(connection->end_copy());

  auto slow =
      std::async(std::launch::async, [&] { return connection->execute("SELECT pg_sleep(3)"); });
  ASSERT_TRUE(test::wait_until([&] {
    return database.number(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
               "pid = " +
               identity.pid) == 1;
  }));
  EXPECT_EQ(verdict(reach, identity), Verdict::works);
  EXPECT_TRUE(slow.get());
}

TEST_F(ReachTest, TellsABackendThatIsGoneFromAnotherWithItsProcessId) {
  Reach reach(options(database.conninfo()));
  auto connection = connect();
  BackendIdentity earlier = identity;
  earlier.start = "2001-01-01 00:00:00+00";
  EXPECT_EQ(verdict(reach, earlier), Verdict::gone);
  BackendIdentity other = identity;
  other.name = "psql";
  EXPECT_EQ(verdict(reach, other), Verdict::gone);
  connection.reset();
  ASSERT_TRUE(test::wait_until([&] { return verdict(reach, identity) == Verdict::gone; }));
}

TEST_F(ReachTest, KnowsSinceWhenNobodyAnswersUntilSomebodyDoes) {
  test::TcpProxy link(port());
  Reach reach(options(database.conninfo() + " host=127.0.0.1 port=" + std::to_string(link.port())));
  EXPECT_EQ(verdict(reach, {}), Verdict::unclear);
  EXPECT_FALSE(reach.silence());

  link.silence(test::TcpProxy::Silence::lost);
  const SteadyTime since = std::chrono::steady_clock::now();
  const auto question = reach.ask({}, since);
  ASSERT_TRUE(test::wait_until([&] { return question->answer().has_value(); }));
  EXPECT_EQ(question->answer()->verdict, Verdict::no_answer);
  ASSERT_TRUE(reach.silence());
  EXPECT_EQ(reach.silence()->since, since);
  EXPECT_FALSE(reach.silence()->refused);

  // A lane that is answered all the same: it is silent since then, if it goes on.
  reach.heard(std::chrono::steady_clock::now());
  EXPECT_FALSE(reach.silence());
  ASSERT_TRUE(test::wait_until([&] { return reach.silence().has_value(); }));
  EXPECT_GT(reach.silence()->since, since);

  link.silence(test::TcpProxy::Silence::none);
  ASSERT_TRUE(test::wait_until([&] { return !reach.silence(); }));
}

TEST_F(ReachTest, TellsAServerThatRefusesFromOneThatSaysNo) {
  test::TcpProxy link(port());
  const std::string through =
      database.conninfo() + " host=127.0.0.1 port=" + std::to_string(link.port());
  Reach refused(options(through));
  link.refuse(true);
  refused.suspect(std::chrono::steady_clock::now());
  ASSERT_TRUE(test::wait_until([&] { return refused.silence().has_value(); }));
  EXPECT_TRUE(refused.silence()->refused);

  Reach answered(options(database.conninfo() + " dbname=there_is_none"));
  EXPECT_EQ(verdict(answered, identity), Verdict::unclear);
  EXPECT_FALSE(answered.silence());
}

TEST_F(ReachTest, EndsInTheMiddleOfConnecting) {
  test::TcpProxy link(port());
  link.silence(test::TcpProxy::Silence::lost);
  auto settings =
      options(database.conninfo() + " host=127.0.0.1 port=" + std::to_string(link.port()));
  settings.timeout = 60s;
  auto reach = std::make_unique<Reach>(settings);
  reach->suspect(std::chrono::steady_clock::now());
  const auto begin = std::chrono::steady_clock::now();
  reach.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

}  // namespace
}  // namespace penstock::postgres
