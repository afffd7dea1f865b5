// A real PgBouncer between us and PostgreSQL: in session mode it is welcome, else it is refused.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "harness/child_process.h"
#include "harness/free_port.h"
#include "harness/temporary_directory.h"
#include "postgres/catalog.h"
#include "postgres/conninfo.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

// In front of the shared server, in this mode; "transaction" with more settings:
// "transaction\nx=y".
class PgBouncer {
 public:
  explicit PgBouncer(const std::string& mode)
      : server_(*Conninfo::parse(test::shared_postgres())),
        directory_(*harness::TemporaryDirectory::make("penstock-pgbouncer")),
        port_(*harness::free_port()) {
    const auto value = [&](std::string_view keyword) {
      return std::string(server_.value(keyword));
    };
    const auto identity = harness::unprivileged_identity();
    const auto write = [&](const char* name, const std::string& text) {
      const std::filesystem::path path = directory_.path() / name;
      std::ofstream(path) << text;
      if (identity) static_cast<void>(::chown(path.c_str(), identity->uid, identity->gid) == 0);
      return path.string();
    };
    const std::string users =
        write("users.txt", "\"" + value("user") + "\" \"" + value("password") + "\"\n");
    const std::string settings =
        write("pgbouncer.ini",
              "[databases]\n* = host=" + value("host") + " port=" + value("port") +
                  "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " + std::to_string(port_) +
                  "\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = " + users +
                  "\npool_mode = " + mode + "\n");
    auto process = harness::ChildProcess::spawn({.command = {"/usr/sbin/pgbouncer", settings},
                                                 .environment = {},
                                                 .log_file = directory_.path() / "log",
                                                 .working_directory = "/tmp",
                                                 .run_as = identity});
    if (!process) throw std::runtime_error(process.error().to_string());
    process_ = *std::move(process);
  }

  [[nodiscard]] std::string conninfo(const std::string& database) const {
    return test::shared_postgres(database) + " port=" + std::to_string(port_);
  }

 private:
  Conninfo server_;
  harness::TemporaryDirectory directory_;
  std::uint16_t port_;
  std::optional<harness::ChildProcess> process_;
};

class PoolerTest : public testing::Test {
 protected:
  // Once it takes connections.
  Result<ServerDescription> check(const std::string& mode) {
    const PgBouncer bouncer(mode);
    std::optional<Result<ServerDescription>> answer;
    static_cast<void>(test::wait_until([&] {
      Pool pool({.conninfo = bouncer.conninfo(database.name())});
      answer = check_server(pool);
      return answer->has_value() || !answer->error().message.contains("refused");
    }));
    return *answer;
  }

  test::TestDatabase database;
};

TEST_F(PoolerTest, InSessionModeIsWelcome) {
  const auto server = check("session");
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  EXPECT_TRUE(server->behind_pooler);
  Pool direct({.conninfo = database.conninfo()});
  EXPECT_FALSE(check_server(direct)->behind_pooler);
}

TEST_F(PoolerTest, ThatMixesSessionsIsRefusedWithTheReason) {
  for (const std::string mode :
       {"transaction", "transaction\nserver_round_robin = 1", "transaction\ndefault_pool_size = 1",
        "transaction\nmax_prepared_statements = 0", "statement"}) {
    const auto server = check(mode);
    ASSERT_FALSE(server.has_value()) << mode;
    EXPECT_EQ(server.error().kind, ErrorKind::invalid_argument) << server.error().to_string();
    EXPECT_TRUE(server.error().message.contains("pooler")) << server.error().to_string();
    EXPECT_TRUE(server.error().hint.contains("pool_mode = session")) << server.error().to_string();
  }
}

TEST_F(PoolerTest, WithRoomForOneSessionOnlySaysSo) {
  const auto server = check("session\ndefault_pool_size = 1");
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().kind, ErrorKind::unavailable) << server.error().to_string();
  EXPECT_TRUE(server.error().hint.contains("pool_size")) << server.error().to_string();
}

}  // namespace
}  // namespace penstock::postgres
