#include "text/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace penstock::text {
namespace {

TEST(ValidUtf8, KeepsWhatIsValid) {
  EXPECT_EQ(valid_utf8(""), "");
  EXPECT_EQ(valid_utf8("plain, \u00fc, \u20ac, \U0001F600"), "plain, \u00fc, \u20ac, \U0001F600");
  EXPECT_EQ(valid_utf8(std::string_view("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(valid_utf8("\u007f\u0080\u07ff\u0800\u2028\ue000\uffff\U00010000\U0010ffff"),
            "\u007f\u0080\u07ff\u0800\u2028\ue000\uffff\U00010000\U0010ffff");
}

TEST(ValidUtf8, ReplacesEachByteThatIsNot) {
  EXPECT_EQ(valid_utf8("caf\xE9"), "caf\uFFFD");
  EXPECT_EQ(valid_utf8("\x80x"), "\uFFFDx");
  EXPECT_EQ(valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(valid_utf8("\xE0\x9F\xBF"), "\uFFFD\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(valid_utf8("\xF0\x8F\xBF\xBF"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // overlong
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98"), "\uFFFD\uFFFD\uFFFD");            // cut off
  EXPECT_EQ(valid_utf8("\xE2\x82x"), "\uFFFD\uFFFDx");
}

TEST(CodePointBytes, CountsTheFirstValidCodePoint) {
  EXPECT_EQ(code_point_bytes(""), 0U);
  EXPECT_EQ(code_point_bytes("ab"), 1U);
  EXPECT_EQ(code_point_bytes("\u00fcb"), 2U);
  EXPECT_EQ(code_point_bytes("\u20acb"), 3U);
  EXPECT_EQ(code_point_bytes("\U0001F600b"), 4U);
  EXPECT_EQ(code_point_bytes("\xFF"), 0U);
}

}  // namespace
}  // namespace penstock::text
