#include "postgres/conninfo.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::postgres {
namespace {

Conninfo parsed(const std::string& text) {
  auto conninfo = Conninfo::parse(text);
  EXPECT_TRUE(conninfo.has_value()) << text;
  return conninfo ? *std::move(conninfo) : Conninfo(nullptr);
}

// "host/hostaddr/port" of each.
std::vector<std::string> addresses(const std::string& text) {
  std::vector<std::string> list;
  for (const Conninfo::Address& address : *parsed(text).addresses()) {
    list.push_back(address.host + "/" + address.hostaddr + "/" + address.port);
  }
  return list;
}

using Strings = std::vector<std::string>;

TEST(Conninfo, MasksWhatLibpqCallsSecretInBothSpellings) {
  EXPECT_EQ(parsed("host=db port=5432 password='hunter 2' dbname=shop").masked(),
            "password=**** dbname=shop host=db port=5432");
  EXPECT_EQ(parsed("postgresql://me:hunter2@db:5432/shop?application_name=a%20b").masked(),
            "user=me password=**** dbname=shop host=db port=5432 application_name='a b'");
  EXPECT_EQ(parsed("sslpassword=hunter2").masked(), "sslpassword=****");
}

TEST(Conninfo, RefusesWhatLibpqCannotReadWithoutRepeatingIt) {
  for (const char* text : {"password=hunter two", "nonsense", "postgresql://a:hunter2@b:%zz/c"}) {
    const auto conninfo = Conninfo::parse(text);
    ASSERT_FALSE(conninfo.has_value()) << text;
    EXPECT_EQ(conninfo.error().kind, ErrorKind::invalid_argument);
    EXPECT_FALSE(conninfo.error().to_string().contains("hunter"));
  }
}

TEST(Conninfo, NamesEveryHostInTurn) {
  EXPECT_EQ(addresses("host=127.0.0.1,127.0.0.2 port=1,2"),
            (Strings{"127.0.0.1/127.0.0.1/1", "127.0.0.2/127.0.0.2/2"}));
  EXPECT_EQ(addresses("host=127.0.0.1,::1 port=5"),
            (Strings{"127.0.0.1/127.0.0.1/5", "::1/::1/5"}));
  EXPECT_EQ(addresses("postgresql://127.0.0.1:1,127.0.0.2:2/shop"),
            (Strings{"127.0.0.1/127.0.0.1/1", "127.0.0.2/127.0.0.2/2"}));
}

TEST(Conninfo, LooksUpNoNameThatHasItsAddressBesideIt) {
  EXPECT_EQ(addresses("host=a.invalid,b.invalid hostaddr=127.0.0.1,127.0.0.2"),
            (Strings{"a.invalid/127.0.0.1/", "b.invalid/127.0.0.2/"}));
  EXPECT_EQ(addresses("hostaddr=127.0.0.1,127.0.0.2 port=7"),
            (Strings{"/127.0.0.1/7", "/127.0.0.2/7"}));
}

TEST(Conninfo, LeavesDirectoriesAndTheDefaultToLibpq) {
  EXPECT_EQ(addresses("host=/run/postgresql,127.0.0.1"),
            (Strings{"/run/postgresql//", "127.0.0.1/127.0.0.1/"}));
  EXPECT_EQ(addresses("user=me"), Strings{"//"});
  EXPECT_EQ(addresses("host=127.0.0.1,"), (Strings{"127.0.0.1/127.0.0.1/", "//"}));
}

TEST(Conninfo, LeavesListsThatDoNotFitToLibpqsComplaint) {
  EXPECT_EQ(addresses("host=a.invalid,b.invalid port=1,2,3"), Strings{"//"});
}

TEST(Conninfo, GoesOnWithoutANameThatNobodyKnows) {
  EXPECT_EQ(addresses("host=nobody.invalid,127.0.0.1"), Strings{"127.0.0.1/127.0.0.1/"});
  const auto none = parsed("host=nobody.invalid").addresses();
  ASSERT_FALSE(none.has_value());
  EXPECT_TRUE(none.error().message.contains("nobody.invalid")) << none.error().message;
}

TEST(ConninfoDemands, EncryptionBeyondThisMachineUnlessSomebodyHasSaidOtherwise) {
  const auto mode = [](const std::string& text, const Conninfo::Address& address) {
    const auto said = Conninfo::parse(text);
    // As libpq does where nobody has said it.
    const auto in_force =
        Conninfo::parse(said->value("sslmode").empty() ? text + " sslmode=prefer" : text);
    return in_force->demands(address, !said->value("sslmode").empty()).sslmode;
  };
  const Conninfo::Address away{.host = "db", .hostaddr = "10.0.0.1", .port = ""};
  EXPECT_EQ(mode("user=u", away), "require");
  EXPECT_EQ(mode("user=u", {.host = "db", .hostaddr = "2001:db8::1", .port = ""}), "require");
  for (const char* said : {"prefer", "disable", "verify-full"}) {
    EXPECT_EQ(mode("sslmode=" + std::string(said), away), "") << said;
  }
  EXPECT_EQ(mode("user=u", {.host = "db", .hostaddr = "127.0.0.1", .port = ""}), "");
  EXPECT_EQ(mode("user=u", {.host = "localhost", .hostaddr = "::1", .port = ""}), "");
  EXPECT_EQ(mode("user=u", {.host = "/run/postgresql", .hostaddr = "", .port = ""}), "");
  EXPECT_EQ(mode("user=u", {}), "");
}

TEST(ConninfoDemands, NoPasswordInClearForAServerThatNobodyVerifies) {
  const auto required = [](const std::string& text, const Conninfo::Address& address) {
    return Conninfo::parse(text)->demands(address, true).require_auth;
  };
  const Conninfo::Address away{.host = "db", .hostaddr = "10.0.0.1", .port = ""};
  const Conninfo::Address loopback{.host = "127.0.0.1", .hostaddr = "127.0.0.1", .port = ""};
  EXPECT_EQ(required("sslmode=require", away), "!password,!md5");
  EXPECT_EQ(required("sslmode=prefer", loopback), "!password,!md5");
  EXPECT_EQ(required("sslmode=verify-full", away), "") << "tokens of clouds are passwords";
  EXPECT_EQ(required("sslmode=require require_auth=password", away), "");
  EXPECT_EQ(required("sslmode=prefer", {.host = "/run/postgresql", .hostaddr = "", .port = ""}),
            "");
}

}  // namespace
}  // namespace penstock::postgres
