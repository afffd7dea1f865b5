// The pipeline in the README is one that Penstock takes.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "config/load.h"
#include "plan/compile.h"

namespace penstock::app {
namespace {

// The first block of YAML in the README.
std::string readme_pipeline() {
  std::ifstream file(PENSTOCK_README);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::string fence = "```yaml\n";
  const auto begin = text.find(fence);
  const auto end = text.find("```", begin + fence.size());
  if (begin == std::string::npos || end == std::string::npos) return {};
  return text.substr(begin + fence.size(), end - begin - fence.size());
}

std::optional<std::string> environment(std::string_view name) {
  if (name == "DATABASE_URL") return "postgres://penstock@localhost/orders";
  return std::nullopt;
}

TEST(Readme, ShowsAPipelineWithoutMistakes) {
  const auto loaded = config::load_text(readme_pipeline(), "README.md", environment);
  ASSERT_TRUE(loaded) << config::render(loaded.error());
  ASSERT_EQ(loaded->config.pipelines_size(), 1);
  const config::Problems problems = plan::check_expressions(*loaded, 0);
  EXPECT_TRUE(problems.empty()) << config::render(problems);
}

}  // namespace
}  // namespace penstock::app
