#include "config/scalars.h"

#include <gtest/gtest.h>

namespace penstock::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ReadsUnits) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("1h2m3s"), 1h + 2min + 3s);
  EXPECT_EQ(parse_duration("7us"), 7us);
  EXPECT_EQ(parse_duration("0"), 0s);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, RefusesTheRest) {
  for (const char* text : {"", "5", "-5s", "s", "5 s", "5d", "1s1m", "1s1s", "1.s", ".5s", "1.5.s",
                           "99999999999999999999s", "300000h", "0.0000000001s", "5S"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, IsWrittenAsItIsRead) {
  for (const auto value :
       {std::chrono::nanoseconds(0ns), std::chrono::nanoseconds(1ns), std::chrono::nanoseconds(90s),
        std::chrono::nanoseconds(250ms), std::chrono::nanoseconds(3h + 5ms)}) {
    EXPECT_EQ(parse_duration(format_duration(value)), value) << format_duration(value);
  }
  EXPECT_EQ(format_duration(90s), "1m30s");
}

TEST(Size, ReadsUnits) {
  EXPECT_EQ(parse_size_bytes("1024"), 1024U);
  EXPECT_EQ(parse_size_bytes("64MiB"), 64U << 20);
  EXPECT_EQ(parse_size_bytes("64 mib"), 64U << 20);
  EXPECT_EQ(parse_size_bytes("1.5KiB"), 1536U);
  EXPECT_EQ(parse_size_bytes("10MB"), 10'000'000U);
  EXPECT_EQ(parse_size_bytes("1kB"), 1000U);
  EXPECT_EQ(parse_size_bytes("5B"), 5U);
  EXPECT_EQ(parse_size_bytes("2TiB"), std::uint64_t{2} << 40);
}

TEST(Size, RefusesTheRest) {
  for (const char* text :
       {"", "MiB", "1M", "1.5", "0.3B", "-1", "1 2", "99999999TiB", "99999999999999999999"}) {
    EXPECT_EQ(parse_size_bytes(text), std::nullopt) << text;
  }
}

TEST(Size, IsWrittenAsItIsRead) {
  EXPECT_EQ(format_size_bytes(0), "0");
  EXPECT_EQ(format_size_bytes(64U << 20), "64MiB");
  EXPECT_EQ(format_size_bytes(1536), "1536");
  EXPECT_EQ(format_size_bytes(std::uint64_t{3} << 40), "3TiB");
}

TEST(Number, ReadsDigitsWithUnderscores) {
  EXPECT_EQ(parse_unsigned("1_000"), 1000U);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), 18446744073709551615U);
  for (const char* text : {"", "_1", "1_", "1__0", "+1", "0x10", "18446744073709551616", " 1"}) {
    EXPECT_EQ(parse_unsigned(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace penstock::config
