#include "control/http2_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::control {
namespace {

constexpr unsigned kMany = 1'000'000;

std::string frame(char type, char flags, std::size_t size, char stream = 1) {
  std::string text{static_cast<char>(size >> 16),
                   static_cast<char>(size >> 8),
                   static_cast<char>(size),
                   type,
                   flags,
                   0,
                   0,
                   0,
                   stream};
  return text + std::string(size, 'x');
}
std::string greeting() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 6); }
std::string call() { return frame(1, 4, 100) + frame(0, 1, 20); }

// Why it was cut; empty: all has passed, whether it came in one piece or byte by byte.
std::string cut(const std::string& bytes) {
  Http2Guard whole;
  const auto passed = whole.look(bytes, kMany);
  Http2Guard byte_by_byte;
  for (const char& byte : bytes) {
    const auto one = byte_by_byte.look({&byte, 1}, kMany);
    if (!one) {
      EXPECT_FALSE(passed);
      return std::string(one.error());
    }
    EXPECT_EQ(one->bytes, 1);
  }
  EXPECT_TRUE(passed);
  if (passed) EXPECT_EQ(passed->bytes, bytes.size());
  return {};
}

TEST(Http2Guard, LetsCallsThrough) {
  std::string bytes = greeting() + frame(4, 1, 0);
  for (int i = 0; i < 1000; ++i) bytes += call();
  EXPECT_EQ(cut(bytes), "");
}

TEST(Http2Guard, CutsWhatIsNoHttp2) {
  EXPECT_NE(cut("GET / HTTP/1.1\r\n\r\n"), "");
  EXPECT_NE(cut("\x16\x03\x01\x02"), "");
  EXPECT_NE(cut("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + call()), "") << "no SETTINGS";
  EXPECT_NE(cut("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 1, 0)), "") << "an answer to none";
}

TEST(Http2Guard, CutsAFrameThatIsLargerThanItMayBe) {
  EXPECT_EQ(cut(greeting() + frame(0, 0, 16 * 1024)), "");
  EXPECT_NE(cut(greeting() + frame(0, 0, 16 * 1024 + 1)), "");
}

// gRPC would keep what comes until all is there that a message announces.
TEST(Http2Guard, CutsARequestThatDoesNotEnd) {
  std::string large = greeting() + frame(1, 4, 10);
  for (int i = 0; i < 8; ++i) large += frame(0, 0, 16 * 1024);
  EXPECT_EQ(cut(large), "");
  EXPECT_NE(cut(large + frame(0, 0, 1)), "");
  EXPECT_EQ(cut(large + frame(0, 1, 16 * 1024) + large.substr(greeting().size())), "")
      << "it has ended";
  EXPECT_EQ(cut(large + frame(3, 0, 4) + large.substr(greeting().size())), "") << "it was reset";
  EXPECT_NE(cut(large + frame(3, 0, 4, 5) + frame(0, 0, 1, 3)), "") << "another one was";
}

TEST(Http2Guard, CutsRequestsThatDoNotEndAndAreMany) {
  std::string bytes = greeting();
  for (char stream = 1; stream < 64; stream = static_cast<char>(stream + 2)) {
    bytes += frame(0, 0, 5, stream);
  }
  EXPECT_EQ(cut(bytes), "");
  EXPECT_NE(cut(bytes + frame(0, 0, 5, 65)), "");
  EXPECT_EQ(cut(bytes + frame(0, 1, 5, 7) + frame(0, 0, 5, 65)), "");
  std::string large = greeting();
  for (char stream = 1; stream < 17; stream = static_cast<char>(stream + 2)) {
    large += frame(0, 0, 16 * 1024, stream);
  }
  EXPECT_NE(cut(large + frame(0, 0, 1, 17)), "") << "together they are too large";
}

TEST(Http2Guard, CutsAHeaderBlockThatDoesNotEnd) {
  std::string large = greeting() + frame(1, 0, 8 * 1024);
  EXPECT_EQ(cut(large + frame(9, 4, 8 * 1024)), "");
  EXPECT_NE(cut(large + frame(9, 0, 8 * 1024) + frame(9, 0, 1)), "");
  std::string empty = greeting() + frame(1, 0, 10);
  for (int i = 0; i < 15; ++i) empty += frame(9, 0, 0);
  EXPECT_EQ(cut(empty), "");
  EXPECT_NE(cut(empty + frame(9, 0, 0)), "");
}

TEST(Http2Guard, CutsAHeaderBlockThatIsInterrupted) {
  EXPECT_NE(cut(greeting() + frame(1, 0, 10) + frame(0, 0, 10)), "");
  EXPECT_NE(cut(greeting() + frame(1, 0, 10) + frame(1, 4, 10)), "");
  EXPECT_NE(cut(greeting() + frame(9, 4, 10)), "") << "a continuation of nothing";
}

TEST(Http2Guard, CutsManyCallsOfOneWhoDoesNotSayThatItKnowsTheLimit) {
  std::string bytes = greeting();
  for (unsigned i = 0; i < Http2Guard::kMaxEarlyStreams; ++i) bytes += call();
  EXPECT_EQ(cut(bytes), "");
  EXPECT_NE(cut(bytes + call()), "");
  EXPECT_EQ(cut(bytes + frame(4, 1, 0) + call()), "") << "gRPC counts from here on";
}

TEST(Http2Guard, CutsACallWithANumberThatIsNotAClients) {
  std::string even = frame(1, 4, 10);
  even[8] = 2;
  EXPECT_NE(cut(greeting() + even), "");
  EXPECT_NE(cut(greeting() + frame(5, 4, 10)), "") << "nor may it push";
}

TEST(Http2Guard, GivesAFewFramesAtATime) {
  Http2Guard guard;
  const std::string first = greeting();
  const std::string bytes = first + call() + call();
  auto passed = guard.look(bytes, 3);
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->bytes, first.size() + call().size());
  EXPECT_EQ(passed->frames, 3);
  const std::string rest = bytes.substr(passed->bytes);
  passed = guard.look(rest, 3);
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->bytes, rest.size());
  EXPECT_EQ(passed->frames, 2);
}

}  // namespace
}  // namespace penstock::control
