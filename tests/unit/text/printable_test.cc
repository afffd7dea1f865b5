#include "text/printable.h"

#include <gtest/gtest.h>

namespace penstock::text {
namespace {

TEST(Printable, LeavesTextAlone) {
  EXPECT_EQ(printable("a \"quoted\" \\ path, äöü €"), "a \"quoted\" \\ path, äöü €");
}

TEST(Printable, TakesAllPowerOverATerminalAway) {
  EXPECT_EQ(printable("\x1b]0;pwned\x07\x1b[2J\n-\t"), "\\u001b]0;pwned\\u0007\\u001b[2J\\n-\\t");
  EXPECT_EQ(printable("\x7f\xC2\x9B"
                      "1m"),
            "\\u007f\\u009b1m");
  EXPECT_EQ(printable("a\xff"), "a\xEF\xBF\xBD");
}

TEST(Printable, KeepsLinesIfThatIsAskedFor) {
  EXPECT_EQ(printable("a\n\tb\r\x1b", Lines::keep), "a\n\tb\\r\\u001b");
}

TEST(Printable, DoesNotTurnTheDirectionOfWriting) {
  EXPECT_EQ(printable("a\u202egnp.exe\u2066\u2028\u200f"), "a\\u202egnp.exe\\u2066\\u2028\\u200f");
  EXPECT_EQ(printable("\u2013 \u2026 \u20ac \u206a"), "\u2013 \u2026 \u20ac \u206a");
}

}  // namespace
}  // namespace penstock::text
