#include "text/hex.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace penstock::text {
namespace {

using namespace std::string_view_literals;

TEST(Hex, WritesAndReadsEveryByte) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  std::string out;
  append_hex(out, bytes);
  EXPECT_EQ(out.substr(0, 6), "000102");
  EXPECT_EQ(out.substr(2 * 0xAB, 2), "ab");
  std::string decoded;
  EXPECT_TRUE(decode_hex(out, decoded));
  EXPECT_EQ(decoded, bytes);
  decoded.clear();
  EXPECT_TRUE(decode_hex("DEADbeef", decoded));
  EXPECT_EQ(decoded, "\xde\xad\xbe\xef");
}

TEST(Hex, RefusesWhatIsMalformed) {
  for (const std::string_view text : {"a"sv, "abc"sv, "zz"sv, "0g"sv, " a"sv, "0x"sv, "a\0"sv}) {
    std::string out;
    EXPECT_FALSE(decode_hex(text, out)) << text;
  }
}

TEST(Hex, KnowsItsDigits) {
  std::string digits;
  for (int c = 0; c < 256; ++c) {
    if (hex_digit(static_cast<char>(c)) >= 0) digits += static_cast<char>(c);
  }
  EXPECT_EQ(digits, "0123456789ABCDEFabcdef");
}

}  // namespace
}  // namespace penstock::text
