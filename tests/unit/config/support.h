// What the tests of config/ share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "config/load.h"

namespace penstock::config {

inline Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

// A file that is right, whose pipeline is open for more lines with four spaces in front.
inline std::string good_text(const std::string& more = {}) {
  return R"(pipelines:
  - name: orders
    source:
      topics: [orders]
      group: orders-to-postgres
      kafka: {bootstrap.servers: "localhost:9092"}
    sink:
      postgres: postgres://localhost/shop
      target: {table: orders}
)" + more;
}

inline Problems problems_of(const std::string& text,
                            const std::map<std::string, std::string>& variables = {}) {
  auto loaded = load_text(text, "p.yaml", environment_of(variables));
  if (loaded) return {};
  return loaded.error();
}

// The only problem of a text.
inline Problem problem_of(const std::string& text,
                          const std::map<std::string, std::string>& variables = {}) {
  Problems problems = problems_of(text, variables);
  EXPECT_EQ(problems.size(), 1U) << render(problems);
  return problems.empty() ? Problem{} : problems.front();
}

inline Loaded loaded(const std::string& text,
                     const std::map<std::string, std::string>& variables = {}) {
  auto result = load_text(text, "p.yaml", environment_of(variables));
  EXPECT_TRUE(result.has_value()) << (result ? "" : render(result.error()));
  return result ? *std::move(result) : Loaded{};
}

}  // namespace penstock::config
