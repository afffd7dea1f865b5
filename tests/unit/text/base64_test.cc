#include "text/base64.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::text {
namespace {

using namespace std::string_view_literals;

TEST(Base64, WritesAndReadsEveryLength) {
  // RFC 4648, "Test Vectors", and the two last digits of the alphabet.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kVectors{
      {{""sv, ""},
       {"f", "Zg=="},
       {"fo", "Zm8="},
       {"foo", "Zm9v"},
       {"foob", "Zm9vYg=="},
       {"fooba", "Zm9vYmE="},
       {"foobar", "Zm9vYmFy"},
       {"\xfb\xff\0"sv, "+/8A"}}};
  for (const auto& [bytes, encoded] : kVectors) {
    std::string out;
    append_base64(out, bytes);
    EXPECT_EQ(out, encoded);
    std::string decoded;
    EXPECT_TRUE(decode_base64(encoded, decoded)) << encoded;
    EXPECT_EQ(decoded, bytes);
    std::string unpadded;
    EXPECT_TRUE(decode_base64(encoded.substr(0, encoded.find('=')), unpadded)) << encoded;
    EXPECT_EQ(unpadded, bytes);
  }
}

TEST(Base64, RefusesWhatIsMalformed) {
  for (const std::string_view text : {"a", "YQ=", "Zg===", "Zm-v", "Zm 9v", "=", "Zg==Zg=="}) {
    std::string out;
    EXPECT_FALSE(decode_base64(text, out)) << text;
  }
}

}  // namespace
}  // namespace penstock::text
