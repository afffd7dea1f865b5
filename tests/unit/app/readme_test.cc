// The pipeline in the README is one that Penstock takes.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "app/bind.h"
#include "config/load.h"

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
  const config::Problems problems = check_expressions(*loaded, 0);
  EXPECT_TRUE(problems.empty()) << config::render(problems);
}

TEST(CheckExpressions, PointsIntoTheFileWhereTheMistakeIs) {
  const auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [orders], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n"
      "    compute:\n"
      "      let:\n"
      "        total: double(msg.quantity) * mgs.unit_price\n"
      "    sink: {postgres: \"postgres://localhost/orders\", table: orders}\n",
      "orders.yaml", environment);
  ASSERT_TRUE(loaded) << config::render(loaded.error());
  const config::Problems problems = check_expressions(*loaded, 0);
  ASSERT_EQ(problems.size(), 1U) << config::render(problems);
  EXPECT_EQ(problems[0].path, "pipelines[0].compute.let.total");
  EXPECT_EQ(problems[0].line, 6U);
  EXPECT_EQ(problems[0].column, 39U);
  EXPECT_NE(problems[0].hint.find("msg"), std::string::npos) << problems[0].hint;
}

}  // namespace
}  // namespace penstock::app
