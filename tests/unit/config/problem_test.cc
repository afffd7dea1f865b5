#include "config/problem.h"

#include <gtest/gtest.h>

#include "unit/config/support.h"

namespace penstock::config {
namespace {

TEST(Problem, ShowsTheLineWithACaret) {
  EXPECT_EQ(render(problems_of(good_text("    drain_timout: 5s\n"))),
            "p.yaml:10:5: pipelines[0].drain_timout: unknown field 'drain_timout'\n"
            "  10 |     drain_timout: 5s\n"
            "     |     ^\n"
            "  hint: did you mean 'drain_timeout'?\n");
}

TEST(Problem, IsColouredOnlyWhenAsked) {
  const Problems problems = problems_of("x: 1\n");
  EXPECT_EQ(render(problems).find('\033'), std::string::npos);
  EXPECT_NE(render(problems, Colour::on).find("\033[1;31m^"), std::string::npos);
}

TEST(Problem, ShowsALongLineAroundThePlace) {
  const std::string text = good_text("    compute: {where: \"" + std::string(500, 'x') + "${Y}" +
                                     std::string(500, 'z') + "\"}\n");
  const std::string shown = render(problems_of(text));
  EXPECT_LT(shown.size(), 600U);
  const std::size_t line = shown.find("…");
  const std::size_t caret = shown.find('^');
  ASSERT_NE(line, std::string::npos);
  ASSERT_NE(caret, std::string::npos);
  EXPECT_NE(shown.find("xxx${Y}zzz"), std::string::npos);
}

TEST(Problem, CountsColumnsInCodePoints) {
  const std::string shown = render(problems_of(good_text("    compute: {where: \"äö${Y}\"}\n")));
  EXPECT_NE(shown.find("p.yaml:10:25:"), std::string::npos) << shown;
  EXPECT_NE(shown.find("\n     | " + std::string(24, ' ') + "^\n"), std::string::npos) << shown;
}

TEST(Problem, KeepsTheCaretInPlaceBehindAMaskedSecret) {
  std::string text = good_text();
  text.replace(text.find("postgres://localhost/shop"), 25, "postgres://u:hunter2@h/${DB}");
  const std::string shown = render(problems_of(text));
  EXPECT_NE(shown.find("  8 |       postgres: postgres://u:***@h/${DB}\n"
                       "    |                                    ^\n"),
            std::string::npos)
      << shown;
}

}  // namespace
}  // namespace penstock::config
