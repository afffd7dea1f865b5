#include "text/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace penstock::text {
namespace {

// A lone first byte and a lone continuation, overlong forms, a sequence cut short, a surrogate,
// above U+10FFFF.
constexpr std::array<std::string_view, 9> kInvalid{"\xff",
                                                   "\xc3",
                                                   "\x80",
                                                   "\xc0\x80",
                                                   "\xe2\x82",
                                                   "\xe0\x80\x80",
                                                   "\xed\xa0\x80",
                                                   "\xf0\x80\x80\x80",
                                                   "\xf4\x90\x80\x80"};

TEST(Utf8, KnowsWhatIsValidInShortAndInLongTexts) {
  for (const std::size_t before : {0U, 1U, 15U, 16U, 17U, 63U, 64U, 65U, 1000U}) {
    const std::string plain(before, 'x');
    EXPECT_TRUE(is_valid_utf8(plain)) << before;
    EXPECT_TRUE(is_valid_utf8(plain + "aä€😀" + plain)) << before;
    for (const std::string_view bad : kInvalid) {
      EXPECT_FALSE(is_valid_utf8(plain + std::string(bad))) << before;
      EXPECT_FALSE(is_valid_utf8(plain + std::string(bad) + plain + "x")) << before;
    }
  }
}

TEST(Utf8, EncodesWhatItDecodes) {
  for (const std::uint32_t point :
       {0x0U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    std::array<char, 4> bytes{};
    const std::string_view text(bytes.data(), encode_utf8(point, bytes.data()));
    EXPECT_EQ(valid_code_point_bytes(text), text.size());
    EXPECT_EQ(code_point_bytes(text[0]), text.size());
    EXPECT_EQ(decode_utf8(text), point);
  }
}

TEST(Utf8, CountsAndFindsCodePoints) {
  constexpr std::string_view kText = "aä€😀";
  EXPECT_EQ(count_code_points(kText), 4U);
  EXPECT_EQ(code_point_offset(kText, 0), 0U);
  EXPECT_EQ(code_point_offset(kText, 3), 6U);
  EXPECT_EQ(code_point_offset(kText, 4), kText.size());
  EXPECT_EQ(code_point_offset(kText, 5), std::string_view::npos);
}

TEST(Utf8, RepairsEveryByteThatIsNotPartOfACharacter) {
  for (const std::string_view bad : kInvalid) {
    std::string expected = "<";
    for (std::size_t i = 0; i < bad.size(); ++i) expected += kReplacementCharacter;
    EXPECT_EQ(repaired_utf8("<" + std::string(bad) + ">"), expected + ">");
  }
  EXPECT_EQ(repaired_utf8("grün 漢 🦀"), "grün 漢 🦀");
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(cut_utf8("aä€", 6), "aä€");
  EXPECT_EQ(cut_utf8("aä€", 5), "aä");
  EXPECT_EQ(cut_utf8("aä€", 3), "aä");
  EXPECT_EQ(cut_utf8("aä€", 2), "a");
  EXPECT_EQ(cut_utf8("€", 2), "");
  EXPECT_EQ(cut_utf8(std::string(100, '\x80'), 50).size(), 50U);
}

}  // namespace
}  // namespace penstock::text
