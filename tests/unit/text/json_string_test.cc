#include "text/json_string.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "text/utf8.h"

namespace penstock::text {
namespace {

std::string json(std::string_view text) {
  std::string out = "before ";
  append_json_string(out, text);
  return out;
}

TEST(JsonString, KeepsWhatNeedsNoEscape) {
  EXPECT_EQ(json(""), "before \"\"");
  EXPECT_EQ(json("a/b ä€😀 \u00A0\u00BF"), "before \"a/b ä€😀 \u00A0\u00BF\"");
}

TEST(JsonString, EscapesQuotesAndControlCharacters) {
  EXPECT_EQ(json("a\"b\\c"), R"(before "a\"b\\c")");
  EXPECT_EQ(json("\n\r\t"), R"(before "\n\r\t")");
  EXPECT_EQ(json(std::string_view("\0\x1b\x1f\x7f|", 5)), R"(before "\u0000\u001b\u001f\u007f|")");
  EXPECT_EQ(json("<\u0080\u009b\u009f\u00a0>"), "before \"<\\u0080\\u009b\\u009f\u00a0>\"");
}

TEST(JsonString, EscapesWithoutTheQuotes) {
  std::string out;
  append_json_escaped(out, "say \"\n\"");
  EXPECT_EQ(out, R"(say \"\n\")");
}

TEST(JsonString, IsUtf8ForEveryCodePoint) {
  for (std::uint32_t point = 0; point < 0x10000; ++point) {
    char bytes[4];
    const std::string_view text(bytes, encode_utf8(point, bytes));
    if (!is_valid_utf8(text)) continue;  // a surrogate
    std::string out;
    append_json_escaped(out, text);
    ASSERT_TRUE(is_valid_utf8(out)) << point;
    const bool plain =
        point >= 0x20 && point != '"' && point != '\\' && (point < 0x7F || point > 0x9F);
    ASSERT_EQ(out == text, plain) << point;
  }
}

}  // namespace
}  // namespace penstock::text
