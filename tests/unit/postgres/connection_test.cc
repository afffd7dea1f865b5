#include "postgres/connection.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "support/silent_server.h"

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

Failure open_failure(const std::string& conninfo, std::chrono::milliseconds timeout) {
  Wakeup wakeup(system_clock());
  auto opened = Connection::open(conninfo, {}, {}, timeout, wakeup);
  EXPECT_FALSE(opened.has_value());
  return opened ? Failure{} : std::move(opened.error());
}

TEST(Connection, GoesOnToTheNextHostWhenOneSaysNothing) {
  const test::SilentServer silent;
  const auto begin = std::chrono::steady_clock::now();
  // Nobody listens on port 1: its refusal shows that the second host was asked.
  const Failure failure = open_failure(
      "host=127.0.0.1,127.0.0.1 port=" + std::to_string(silent.port()) + ",1 user=u", 3s);
  EXPECT_TRUE(failure.error.message.contains("did not answer in time")) << failure.error.message;
  EXPECT_TRUE(failure.error.message.contains("refused")) << failure.error.message;
  EXPECT_EQ(failure.failure, FailureClass::retry);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * 3s);
}

TEST(Connection, SaysWhatIsWrongWithListsThatDoNotFit) {
  const Failure failure = open_failure("host=127.0.0.1,127.0.0.2 port=1,2,3", 500ms);
  EXPECT_TRUE(failure.error.message.contains("port numbers")) << failure.error.message;
}

TEST(Connection, GoesOnToTheNextHostWhenANameIsUnknown) {
  const Failure failure = open_failure("host=nobody.invalid,127.0.0.1 port=1 user=u", 500ms);
  EXPECT_TRUE(failure.error.message.contains("refused")) << failure.error.message;
}

TEST(Connection, TakesAMisspeltValueForWhatItIsAndNotForAServerThatIsAway) {
  for (const char* wrong : {"sslmode=requires", "channel_binding=perhaps", "port=five",
                            "gssencmode=x", "require_auth=x", "sslcertmode=x"}) {
    const Failure failure = open_failure(std::string("host=127.0.0.1 user=u ") + wrong, 500ms);
    EXPECT_EQ(failure.failure, FailureClass::configuration) << wrong << failure.error.message;
    EXPECT_EQ(failure.error.kind, ErrorKind::invalid_argument) << wrong;
    EXPECT_TRUE(failure.error.message.contains("invalid")) << failure.error.message;
  }
}

// Answers that there is no TLS, and asks for the password in clear.
class Eavesdropper {
 public:
  Eavesdropper() : thread_([this] { run(); }) {}
  ~Eavesdropper() { thread_.join(); }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  [[nodiscard]] std::string heard() {
    thread_.join();
    thread_ = std::thread([] {});
    return heard_;
  }

 private:
  void run() {
    const int guest = ::accept(server_.descriptor(), nullptr, nullptr);
    std::array<char, 1024> bytes{};
    while (true) {
      const ssize_t size = ::recv(guest, bytes.data(), bytes.size(), 0);
      if (size <= 0) break;
      if (size == 8) {  // may we speak TLS?
        static_cast<void>(::send(guest, "N", 1, MSG_NOSIGNAL));
        continue;
      }
      heard_.append(bytes.data(), static_cast<std::size_t>(size));
      constexpr std::string_view kPassword("R\0\0\0\10\0\0\0\3", 9);
      static_cast<void>(::send(guest, kPassword.data(), kPassword.size(), MSG_NOSIGNAL));
    }
    ::close(guest);
  }

  const test::SilentServer server_;
  std::string heard_;
  std::thread thread_;
};

TEST(Connection, TellsNobodyAPasswordWhoAsksForItInClear) {
  Eavesdropper server;
  const Failure failure = open_failure(
      "host=127.0.0.1 user=u password=hunter2 port=" + std::to_string(server.port()), 10s);
  EXPECT_EQ(server.heard().find("hunter2"), std::string::npos);
  EXPECT_EQ(failure.error.sqlstate, "28000") << failure.error.message;
  EXPECT_TRUE(failure.error.hint.contains("require_auth")) << failure.error.hint;
}

TEST(Connection, TellsAPasswordInClearWhereThatIsSaid) {
  Eavesdropper server;
  static_cast<void>(
      open_failure("host=127.0.0.1 user=u password=hunter2 require_auth=password "
                   "connect_timeout=2 port=" +
                       std::to_string(server.port()),
                   10s));
  EXPECT_NE(server.heard().find("hunter2"), std::string::npos);
}

TEST(Connection, SaysThatAServerDoesNotEncrypt) {
  Eavesdropper server;
  const Failure failure = open_failure(
      "host=127.0.0.1 user=u sslmode=require port=" + std::to_string(server.port()), 10s);
  EXPECT_EQ(failure.error.sqlstate, "28000") << failure.error.message;
  EXPECT_TRUE(failure.error.hint.contains("sslmode=disable")) << failure.error.hint;
}

TEST(Connection, DoesNotRepeatAValueThatLibpqDoesNotKnow) {
  const Failure failure = open_failure("host=127.0.0.1 port=1 gssencmode=hunter2", 1s);
  EXPECT_EQ(failure.failure, FailureClass::configuration);
  EXPECT_EQ(failure.error.message.find("hunter2"), std::string::npos) << failure.error.message;
}

TEST(Connection, AStopEndsConnecting) {
  const test::SilentServer silent;
  Wakeup wakeup(system_clock());
  wakeup.stop();
  auto opened = Connection::open("user=u host=127.0.0.1 port=" + std::to_string(silent.port()), {},
                                 {}, 60s, wakeup);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().failure, FailureClass::cancelled);
}

}  // namespace
}  // namespace penstock::postgres
