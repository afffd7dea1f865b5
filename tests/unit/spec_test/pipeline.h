// A pipeline with tests, for the tests of what runs them.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "config/load.h"

namespace penstock::spec_test {

// The tests begin in line 12.
inline config::Loaded pipeline_with(const std::string& tests,
                                    const std::string& columns = "{id: msg.id, total: total}") {
  auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source:\n"
      "      topics: [orders, returns]\n"
      "      group: g\n"
      "      kafka: {bootstrap.servers: \"localhost:9092\"}\n"
      "    compute:\n"
      "      where: msg.quantity > 0\n"
      "      let: {total: double(msg.quantity) * msg.price}\n"
      "    sink: {postgres: \"postgres://localhost/x\", target: {table: t, columns: " +
          columns +
          "}}\n"
          "    tests:\n" +
          tests,
      "f.yaml", [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(loaded) << config::render(loaded.error());
  return loaded ? std::move(*loaded) : config::Loaded{};
}

}  // namespace penstock::spec_test
