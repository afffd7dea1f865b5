// What `penstock check` finds in a pipeline without any server, besides its expressions.
#include <gtest/gtest.h>

#include <string>

#include "app/start_up.h"
#include "config/load.h"

namespace penstock::app {
namespace {

std::string checked(const std::string& kafka) {
  const auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source:\n"
      "      topics: [t]\n"
      "      group: g\n"
      "      kafka:\n"
      "        bootstrap.servers: localhost:9092\n" +
          kafka + "    sink: {postgres: \"postgres://localhost/x\", target: {table: orders}}\n",
      "f.yaml", [](std::string_view) { return std::nullopt; });
  return config::render(loaded ? check_offline(*loaded, 0) : loaded.error());
}

TEST(CheckOffline, FindsPropertiesThatDoNotGoTogetherWithTheirPlace) {
  EXPECT_EQ(checked(""), "");
  EXPECT_EQ(checked("        group.protocol: consumer\n"), "");
  for (const std::string name : {"session.timeout.ms", "heartbeat.interval.ms"}) {
    const std::string found =
        checked("        group.protocol: consumer\n        " + name + ": 9000\n");
    EXPECT_TRUE(found.starts_with("f.yaml:9:")) << found;
    EXPECT_TRUE(found.contains("pipelines[0].source.kafka[\"" + name + "\"]")) << found;
    EXPECT_TRUE(found.contains("hint: remove it")) << found;
  }
  for (const std::string line :
       {"partition.assignment.strategy: range", "group.protocol.type: consumer"}) {
    const std::string found = checked("        group.protocol: consumer\n        " + line + "\n");
    EXPECT_TRUE(found.starts_with("f.yaml:9:")) << found;
  }
}

TEST(CheckOffline, NamesTheUnknownPropertyWhereItStands) {
  const std::string found = checked("        sesion.timeout.ms: 9000\n");
  EXPECT_TRUE(found.starts_with("f.yaml:8:")) << found;
  EXPECT_TRUE(found.contains("did you mean 'session.timeout.ms'?")) << found;
}

}  // namespace
}  // namespace penstock::app
