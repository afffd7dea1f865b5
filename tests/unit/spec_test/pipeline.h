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

// An order in one table, its items in another. The tests begin in line 21.
inline config::Loaded pipeline_with_routes(const std::string& tests) {
  auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source:\n"
      "      topics: [orders]\n"
      "      group: g\n"
      "      kafka: {bootstrap.servers: \"localhost:9092\"}\n"
      "    sink:\n"
      "      postgres: \"postgres://localhost/x\"\n"
      "      match: all\n"
      "      routes:\n"
      "        - table: orders\n"
      "          when: msg.id > 0\n"
      "          columns: {id: msg.id}\n"
      "        - table: items\n"
      "          mode: upsert\n"
      "          when: msg.id < 100\n"
      "          for_each: msg.items\n"
      "          delete_when: item.?op.orValue('u') == 'd'\n"
      "          columns: {order_id: msg.id, line: index, sku: item.sku}\n"
      "    tests:\n" +
          tests,
      "f.yaml", [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(loaded) << config::render(loaded.error());
  return loaded ? std::move(*loaded) : config::Loaded{};
}

}  // namespace penstock::spec_test
