// Several hosts in one connection string, as of a cluster with a standby.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "harness/local_postgres.h"
#include "postgres/catalog.h"
#include "postgres/pool.h"
#include "support/servers.h"
#include "support/silent_server.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

// The shared server's port.
std::string shared_port() { return test::TestDatabase().value("SELECT current_setting('port')"); }

class HostsTest : public testing::Test {
 protected:
  // Who answers when `port` is asked before the shared server.
  Result<ServerDescription> check(const std::string& port, std::chrono::milliseconds timeout,
                                  const std::string& settings = {}) {
    Pool pool({.conninfo = test::shared_postgres() + " host=127.0.0.1,127.0.0.1 port=" + port +
                           "," + good_port + settings,
               .connect_timeout = timeout});
    return check_server(pool);
  }

  const std::string good_port = shared_port();
};

TEST_F(HostsTest, AFirstHostThatSaysNothingCostsOneTimeout) {
  const test::SilentServer silent;
  const auto begin = std::chrono::steady_clock::now();
  const auto server = check(std::to_string(silent.port()), 3s);
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  EXPECT_EQ(std::to_string(server->port), good_port);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 3s);
  EXPECT_LT(took, 2 * 3s);
}

TEST_F(HostsTest, TheConnectionStringsOwnTimeoutGoesFirst) {
  const test::SilentServer silent;
  const auto begin = std::chrono::steady_clock::now();
  const auto server = check(std::to_string(silent.port()), 60s, " connect_timeout=1");
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST_F(HostsTest, AHostThatCannotBeWrittenToIsPassedBy) {
  auto standby = harness::LocalPostgres::start(
      {.fsync = false, .settings = {{"default_transaction_read_only", "on"}}});
  ASSERT_TRUE(standby.has_value()) << standby.error().to_string();
  // Its password is another one: what it is asked for must be its own.
  const std::string port = std::to_string((*standby)->port());
  const auto alone = [&] {
    Pool pool({.conninfo = (*standby)->conninfo()});
    return check_server(pool);
  }();
  ASSERT_FALSE(alone.has_value());
  EXPECT_TRUE(alone.error().message.contains("read-only")) << alone.error().to_string();
  EXPECT_TRUE(alone.error().hint.contains("name the primary")) << alone.error().to_string();

  test::TestDatabase database;
  harness::Sql both = *harness::Sql::connect((*standby)->conninfo());
  database.execute("CREATE ROLE everywhere LOGIN SUPERUSER PASSWORD 'same'");
  ASSERT_TRUE(both.execute("SET default_transaction_read_only = off").has_value());
  ASSERT_TRUE(both.execute("CREATE ROLE everywhere LOGIN SUPERUSER PASSWORD 'same'").has_value());
  const auto server = check(port, 5s, " user=everywhere password=same target_session_attrs=any");
  database.execute("DROP ROLE everywhere");
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  EXPECT_EQ(std::to_string(server->port), good_port);
}

TEST_F(HostsTest, WhenNobodyAnswersEverybodyIsNamed) {
  const test::SilentServer silent;
  Pool pool(
      {.conninfo = "user=u host=127.0.0.1,127.0.0.1 port=" + std::to_string(silent.port()) + ",1",
       .connect_timeout = 300ms});
  const auto server = check_server(pool);
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().kind, ErrorKind::unavailable);
  EXPECT_TRUE(server.error().message.contains("did not answer in time"))
      << server.error().to_string();
  EXPECT_TRUE(server.error().message.contains("port 1 failed")) << server.error().to_string();
}

TEST_F(HostsTest, AStopEndsConnectingToOneThatSaysNothing) {
  const test::SilentServer silent;
  Pool pool({.conninfo = "user=u host=127.0.0.1 port=" + std::to_string(silent.port()),
             .connect_timeout = 60s});
  std::stop_source stop;
  const std::jthread other([&] { stop.request_stop(); });
  const auto server = check_server(pool, stop.get_token());
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace penstock::postgres
