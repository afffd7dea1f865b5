// The mappings in the cookbook do what their tests say.
#include <gtest/gtest.h>

#include <format>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "cel/text.h"
#include "compute/encode/column_encoder.h"
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
      recipes.emplace_back("pipelines:\n  - name: recipe\n");
      inside = true;
    } else if (line == "```") {
      if (inside && !recipes.back().contains("    source:\n")) {
        recipes.back() +=
            "    source: {topics: [t], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n";
      }
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

// ---- The table of times

std::vector<std::string> in_backquotes(std::string_view cell) {
  std::vector<std::string> found;
  for (std::size_t at = cell.find('`'); at != std::string_view::npos; at = cell.find('`', at)) {
    const std::size_t end = cell.find('`', at + 1);
    found.emplace_back(cell.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return found;
}

struct Times {
  std::vector<std::string> samples;
  std::vector<std::string> readers;  // types of columns, and expressions with … for the time
};

std::vector<Times> times_of_the_page() {
  std::ifstream page(PENSTOCK_COOKBOOK);
  std::vector<Times> rows;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| written as")) {
      inside = true;
      std::getline(page, line);  // the rule
    } else if (inside && !line.starts_with('|')) {
      break;
    } else if (inside) {
      const std::size_t first = line.find(" | ");
      rows.push_back({in_backquotes(line.substr(0, first)),
                      in_backquotes(line.substr(line.find("| ", first + 2)))});
    }
  }
  return rows;
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  const std::size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

// Empty: the expression reads the sample, as a text or, where it is one, as a number.
std::string problem_of(const std::string& expression, const std::string& sample) {
  std::string problem;
  for (const std::string& literal : {"\"" + sample + "\"", sample}) {
    cel::Inputs inputs;
    const auto program =
        cel::compile(replaced(expression, "…", literal), cel::Environment(), inputs);
    if (!program) {
      problem = program.error().front().message;
      continue;
    }
    cel::Arena arena;
    cel::Frame frame;
    const cel::Value value = program->evaluate({}, arena, frame);
    if (value.is_timestamp()) return {};
    problem = cel::to_text(value);
  }
  return problem;
}

TEST(Cookbook, ReadsEveryTimeAsItsTableSays) {
  const std::map<std::string, ColumnType> columns = {{"timestamptz", ColumnType::timestamptz},
                                                     {"timestamp", ColumnType::timestamp},
                                                     {"date", ColumnType::date}};
  std::size_t read = 0;
  for (const auto& [samples, readers] : times_of_the_page()) {
    ASSERT_FALSE(readers.empty());
    for (const std::string& sample : samples) {
      for (const std::string& reader : readers) {
        ++read;
        if (reader.contains("…")) {
          EXPECT_EQ(problem_of(reader, sample), "") << reader << ' ' << sample;
          continue;
        }
        ColumnDescription column;
        column.type = columns.at(reader);
        compute::FieldBuffer out;
        compute::EncodeProblem problem;
        EXPECT_TRUE(compute::encode_field(column, cel::Value::of_string(sample), out, problem))
            << reader << ' ' << sample << ": " << problem.message;
      }
    }
  }
  EXPECT_GE(read, 40U);
}

}  // namespace
}  // namespace penstock::spec_test
