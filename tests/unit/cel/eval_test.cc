#include <gtest/gtest.h>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Evaluation, ComputesArithmeticWithPrecedence) {
  Evaluator eval;
  EXPECT_EQ(eval("1 + 2 * 3 - 4 / 2"), "5");
  EXPECT_EQ(eval("(1 + 2) * 3 % 5"), "4");
  EXPECT_EQ(eval("-7 / 2"), "-3");
  EXPECT_EQ(eval("-(2 + 3)"), "-5");
  EXPECT_EQ(eval("1.5 + 2.25"), "3.75");
  EXPECT_EQ(eval("5u - 3u"), "2u");
  EXPECT_EQ(eval("'a' + 'b' + 'c'"), "\"abc\"");
  EXPECT_EQ(eval("[1] + [2, 3]"), "[1, 2, 3]");
}

}  // namespace
}  // namespace penstock::cel
