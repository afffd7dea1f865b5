#include "spec_test/align.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::spec_test {
namespace {

// Letters that are the same are the same; "a:a b:- -:c" is a pair, one missing, one unexpected.
std::string aligned(std::string_view expected, std::string_view actual) {
  std::string text;
  for (const Pair& pair : align(expected.size(), actual.size(), [&](std::size_t i, std::size_t j) {
         return expected[i] == actual[j];
       })) {
    text += text.empty() ? "" : " ";
    text += pair.expected ? expected[*pair.expected] : '-';
    text += ':';
    text += pair.actual ? actual[*pair.actual] : '-';
  }
  return text;
}

TEST(Align, PutsEqualsBesideEachOther) {
  EXPECT_EQ(aligned("", ""), "");
  EXPECT_EQ(aligned("abc", "abc"), "a:a b:b c:c");
}

TEST(Align, PairsWhatDiffersInPlace) {
  EXPECT_EQ(aligned("abc", "axc"), "a:a b:x c:c");
  EXPECT_EQ(aligned("ab", "xy"), "a:x b:y");
}

TEST(Align, FindsTheOneThatIsMissing) {
  EXPECT_EQ(aligned("abc", "bc"), "a:- b:b c:c");
  EXPECT_EQ(aligned("abc", "ac"), "a:a b:- c:c");
  EXPECT_EQ(aligned("abc", ""), "a:- b:- c:-");
}

TEST(Align, WouldRatherMatchOneThanPairTwoThatDiffer) {
  EXPECT_EQ(aligned("ab", "xya"), "-:x -:y a:a b:-");
}

TEST(Align, FindsTheOneThatIsUnexpected) {
  EXPECT_EQ(aligned("bc", "abc"), "-:a b:b c:c");
  EXPECT_EQ(aligned("", "ab"), "-:a -:b");
}

}  // namespace
}  // namespace penstock::spec_test
