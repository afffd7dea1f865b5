#include "core/listen_address.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

std::string round_trip(std::string_view text) {
  const Result<ListenAddress> address = parse_listen_address(text);
  return address ? address->to_string() : "error: " + address.error().message;
}

TEST(ListenAddress, TakesHostAndPort) {
  EXPECT_EQ(round_trip("127.0.0.1:7070"), "127.0.0.1:7070");
  EXPECT_EQ(round_trip("localhost:0"), "localhost:0");
  EXPECT_EQ(round_trip("[::1]:65535"), "[::1]:65535");
  EXPECT_EQ(round_trip(":8080"), "0.0.0.0:8080");
  EXPECT_EQ(parse_listen_address("[::1]:80")->host, "::1");
}

TEST(ListenAddress, RefusesEverythingElseWithAHint) {
  for (const char* text : {"", "localhost", "localhost:", "localhost:http", "localhost:65536",
                           "localhost:-1", "localhost:80 ", "::1:80", "[localhost]:80", "[::1]"}) {
    const Result<ListenAddress> address = parse_listen_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().kind, ErrorKind::invalid_argument);
    EXPECT_FALSE(address.error().hint.empty());
  }
}

TEST(Loopback, IsWhatNobodyElseReaches) {
  for (const char* host : {"localhost", "LocalHost", "127.0.0.1", "127.8.9.10", "::1", "[::1]"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"", "0.0.0.0", "::", "[::]", "10.0.0.1", "127.example.com", "127.0.0.1.",
                           "db", "localhost.example.com", "::1:2", "[", "1127.0.0.1"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace penstock
