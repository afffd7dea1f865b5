// The mappings in the cookbook do what their tests say.
#include <gtest/gtest.h>

#include <format>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "config/load.h"
#include "spec_test/run.h"

namespace penstock::spec_test {
namespace {

// The blocks of YAML on the page, each as a pipeline with what they leave out.
std::vector<std::string> recipes() {
  std::ifstream page(PENSTOCK_COOKBOOK);
  std::vector<std::string> recipes;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line == "```yaml") {
      recipes.emplace_back(
          "pipelines:\n"
          "  - name: recipe\n"
          "    source: {topics: [t], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n");
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      recipes.back() += "    " + line + "\n";
      if (line == "sink:") recipes.back() += "      postgres: postgres://localhost/cookbook\n";
    }
  }
  return recipes;
}

TEST(Cookbook, HasMappingsThatDoWhatTheirTestsSay) {
  std::size_t tests = 0;
  for (const std::string& recipe : recipes()) {
    const auto loaded =
        config::load_text(recipe, "cookbook.yaml", [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(loaded) << config::render(loaded.error()) << recipe;
    const auto results = run_tests(*loaded, 0, "");
    ASSERT_TRUE(results) << config::render(results.error()) << recipe;
    ASSERT_FALSE(results->empty()) << recipe;
    for (const TestResult& result : *results) {
      EXPECT_TRUE(result.passed()) << render(result, false);
      ++tests;
    }
  }
  EXPECT_GE(tests, 8U);
}

}  // namespace
}  // namespace penstock::spec_test
