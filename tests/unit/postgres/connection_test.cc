#include "postgres/connection.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

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
      "host=127.0.0.1,127.0.0.1 port=" + std::to_string(silent.port()) + ",1 user=u", 500ms);
  EXPECT_TRUE(failure.error.message.contains("did not answer in time")) << failure.error.message;
  EXPECT_TRUE(failure.error.message.contains("refused")) << failure.error.message;
  EXPECT_EQ(failure.failure, FailureClass::retry);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * 500ms);
}

TEST(Connection, SaysWhatIsWrongWithListsThatDoNotFit) {
  const Failure failure = open_failure("host=127.0.0.1,127.0.0.2 port=1,2,3", 500ms);
  EXPECT_TRUE(failure.error.message.contains("port numbers")) << failure.error.message;
}

TEST(Connection, GoesOnToTheNextHostWhenANameIsUnknown) {
  const Failure failure = open_failure("host=nobody.invalid,127.0.0.1 port=1 user=u", 500ms);
  EXPECT_TRUE(failure.error.message.contains("refused")) << failure.error.message;
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
