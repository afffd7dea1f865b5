// A password in a file of its own, which somebody swaps while the program runs.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "harness/temporary_directory.h"
#include "harness/text_file.h"
#include "postgres/catalog.h"
#include "postgres/conninfo.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

class PasswordTest : public testing::Test {
 protected:
  PasswordTest() : role_("secret_" + database_.name()) {
    database_.execute("CREATE ROLE " + role_ + " LOGIN PASSWORD 'first:one'");
  }
  ~PasswordTest() override { database_.execute("DROP ROLE " + role_); }

  // As Kubernetes does: another file in its place.
  void put(const std::string& text, mode_t mode) {
    const std::string fresh = path() + ".new";
    ASSERT_TRUE(harness::write_private_file(fresh, text).has_value());
    ASSERT_EQ(::chmod(fresh.c_str(), mode), 0);
    std::filesystem::rename(fresh, path());
  }
  std::string path() const { return (directory_.path() / "password").string(); }
  // Without a password of its own.
  std::string conninfo() {
    const Conninfo shared = *Conninfo::parse(database_.conninfo());
    return "host=" + std::string(shared.value("host")) +
           " port=" + std::string(shared.value("port")) + " dbname=" + database_.name() +
           " user=" + role_ + " passfile=" + path();
  }
  Result<ServerDescription> check() {
    Pool pool({.conninfo = conninfo(), .connect_timeout = 5s});
    return check_server(pool);
  }
  std::string refused() {
    const auto server = check();
    return server ? "it is let in" : server.error().to_string();
  }

  test::TestDatabase database_;
  const std::string role_;
  const harness::TemporaryDirectory directory_ = *harness::TemporaryDirectory::make("password");
};

TEST_F(PasswordTest, IsReadAnewForEveryConnection) {
  put("first:one\n", 0440);
  Pool pool({.conninfo = conninfo(), .connect_timeout = 5s});
  ASSERT_TRUE(check_server(pool).has_value());
  database_.execute("ALTER ROLE " + role_ + " PASSWORD 'second'");
  EXPECT_TRUE(check_server(pool).has_value()) << "a session that is open stays";
  const std::string why = refused();
  EXPECT_TRUE(why.contains("28P01")) << why;
  EXPECT_TRUE(why.contains("the password in " + path())) << why;
  EXPECT_FALSE(why.contains("first:one")) << why;
  put("second", 0400);
  EXPECT_TRUE(check().has_value()) << refused();
}

TEST_F(PasswordTest, OfLibpqsFormIsReadByLibpq) {
  put("# ours\n*:*:*:" + role_ + ":first\\:one\n", 0600);
  EXPECT_TRUE(check().has_value()) << refused();
  put("*:*:*:somebody:first\\:one\n", 0600);
  EXPECT_TRUE(refused().contains("no password supplied")) << refused();
}

TEST_F(PasswordTest, ThatCannotBeUsedIsNamedAndWhatIsInItIsNot) {
  EXPECT_TRUE(refused().contains("the password file " + path() + " cannot be opened: No such file"))
      << refused();
  put("first:one\n", 0644);
  EXPECT_TRUE(refused().contains("may be read by everybody")) << refused();
  EXPECT_TRUE(refused().contains("defaultMode: 0440")) << refused();
  put("*:*:*:" + role_ + ":first\\:one\n", 0640);
  EXPECT_TRUE(refused().contains("libpq does not read what the group may read")) << refused();
  put("\n", 0600);
  EXPECT_TRUE(refused().contains("is empty")) << refused();
  put("first:one\nsecond\n", 0600);
  EXPECT_TRUE(refused().contains("holds no password")) << refused();
  EXPECT_FALSE(refused().contains("first:one")) << refused();
  put(std::string(70'000, 'x'), 0600);
  EXPECT_TRUE(refused().contains("larger than 64 KiB")) << refused();
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  EXPECT_TRUE(refused().contains("is no file")) << refused();
}

TEST_F(PasswordTest, OfTheConnectionStringGoesBeforeTheFile) {
  put("wrong", 0644);
  Pool pool({.conninfo = conninfo() + " password=first:one", .connect_timeout = 5s});
  EXPECT_TRUE(check_server(pool).has_value());
}

}  // namespace
}  // namespace penstock::postgres
