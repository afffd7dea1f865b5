// Every command that README and the documents tell people to type, typed: in examples/, on the
// shared servers. What needs a container engine or a cluster is left out, by name.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "harness/kafka_admin.h"
#include "harness/text_file.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

// The lines between "```LANGUAGE" and "```", as one block each.
std::vector<Lines> blocks(const std::string& document, const std::string& language) {
  std::ifstream page(std::string(PENSTOCK_REPOSITORY) + "/" + document);
  std::vector<Lines> blocks;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line == "```" + language) {
      blocks.emplace_back();
      inside = true;
    } else if (line.starts_with("```")) {
      inside = false;
    } else if (inside) {
      blocks.back().push_back(line);
    }
  }
  return blocks;
}

// What only other places have: `docker run …`, `./dev demo`, a variable.
bool runs_elsewhere(const std::string& line) {
  constexpr std::array kElsewhere = {"./dev ", "docker ", "kubectl ", "helm ",   "grpcurl ",
                                     "curl ",  "OTEL_",   "alias ",   "export ", "cd "};
  return line.empty() || line.contains("penstock:7070") ||
         std::ranges::any_of(kElsewhere, [&](const char* word) { return line.starts_with(word); });
}

class Documents : public testing::Test {
 protected:
  Documents() : directory(must(harness::TemporaryDirectory::make("penstock-documents"))) {
    std::filesystem::copy(std::string(PENSTOCK_REPOSITORY) + "/examples", directory.path(),
                          std::filesystem::copy_options::recursive);
    std::filesystem::create_directory(directory.path() / "bin");
    std::filesystem::create_symlink(penstock_program(), directory.path() / "bin" / "penstock");
    // Other tests may have the ports of a real one.
    std::ofstream(directory.path() / "orders.yaml", std::ios::app)
        << "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n";
  }

  harness::SpawnOptions bash(const std::string& line) {
    return {.command = {"bash", "-euo", "pipefail", "-c", line},
            .environment = {{"PATH", (directory.path() / "bin").string() + ":" + getenv("PATH")},
                            {"KAFKA_BROKERS", shared_brokers()},
                            {"DATABASE_URL", database.conninfo()}},
            .log_file = directory.path() / "output",
            .working_directory = directory.path(),
            .run_as = {}};
  }
  [[nodiscard]] std::string output() { return harness::read_file(directory.path() / "output"); }

  void run(const std::string& line) {
    SCOPED_TRACE(line);
    std::filesystem::remove(directory.path() / "output");
    auto process = must(harness::ChildProcess::spawn(bash("exec " + line)));
    if (line.starts_with("penstock serve ")) {
      EXPECT_TRUE(wait_until([&] {
        return database.number("SELECT count(*) FROM orders") == 1 || process.poll();
      })) << output();
      process.signal(SIGTERM);
    }
    const auto status = process.wait_for(60s);
    EXPECT_TRUE(status && status->success()) << output();
    ++ran;
  }

  harness::TemporaryDirectory directory;
  TestDatabase database;
  int ran = 0;
};

class DocumentsWithTopic : public Documents {
 protected:
  // Another test may have it just now: the documents name it.
  DocumentsWithTopic() {
    EXPECT_TRUE(wait_until(
        [] { return harness::create_topic(shared_brokers(), "orders", 1).has_value(); }, 60s));
  }
  ~DocumentsWithTopic() override {
    std::ignore = harness::delete_topic(shared_brokers(), "orders");
  }
};

TEST_F(DocumentsWithTopic, HaveCommandsThatDoWhatTheySay) {
  for (const char* document :
       {"README.md", "examples/README.md", "docs/cel.md", "docs/cookbook.md", "docs/operations.md",
        "docs/guarantees.md", "docs/reference/grants.md", "docs/runbooks/README.md"}) {
    SCOPED_TRACE(document);
    for (const Lines& block : blocks(document, "sh")) {
      for (const std::string& line : block) {
        if (!runs_elsewhere(line)) run(line);
      }
    }
  }
  EXPECT_GE(ran, 16);
  EXPECT_EQ(database.query("SELECT id, total, partition, \"offset\" FROM orders"),
            (harness::SqlRows{{"7", "60", "0", "0"}}));

  // The help of commands ends with examples, too.
  run("penstock eval --help");
  std::istringstream help(output());
  const std::string some_record = "orders/3/4711";
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with("  penstock ")) continue;
    if (const auto at = line.find(some_record); at != std::string::npos) {
      line.replace(at, some_record.size(), "orders/0/0");
    }
    run(line.substr(2));
  }
  EXPECT_GE(ran, 24);
}

// A command of a session, and what a person sees after it.
struct Typed {
  std::string command;
  std::string seen;
};

std::vector<Typed> session(const std::string& document) {
  std::vector<Typed> typed;
  for (const Lines& block : blocks(document, "console")) {
    for (const std::string& line : block) {
      if (line.starts_with("$ ")) {
        typed.push_back({line.substr(2), ""});
      } else if (!typed.empty()) {
        typed.back().seen += line + "\n";
      }
    }
  }
  return typed;
}

// Without what differs from day to day, and without blanks that nobody sees.
std::string as_seen(std::string text) {
  static const RE2 kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z)");
  static const RE2 kPlan(R"(  plan     [0-9a-f]{12}\n)");
  static const RE2 kBlanks(R"( +\n|\n+$)");
  RE2::GlobalReplace(&text, kTime, "TIME");
  RE2::GlobalReplace(&text, kPlan, "  plan     PLAN\n");
  RE2::GlobalReplace(&text, kBlanks, "\n");
  return text;
}

TEST_F(DocumentsWithTopic, ShowASessionThatGoesAsItIsShown) {
  for (const char* line :
       {"psql \"$DATABASE_URL\" --file orders.sql", "penstock migrate up --config orders.yaml"}) {
    run(line);
  }
  auto serve = must(harness::ChildProcess::spawn(
      {.command = {penstock_program(), "serve", "--config", "orders.yaml"},
       .environment = {{"KAFKA_BROKERS", shared_brokers()}, {"DATABASE_URL", database.conninfo()}},
       .log_file = directory.path() / "serve.log",
       .working_directory = directory.path(),
       .run_as = {}}));
  int produced = 0;
  for (const Typed& typed : session("docs/dead-letters.md")) {
    SCOPED_TRACE(typed.command);
    std::filesystem::remove(directory.path() / "output");
    auto process = must(harness::ChildProcess::spawn(bash(typed.command)));
    ASSERT_TRUE(process.wait_for(60s));
    EXPECT_EQ(as_seen(output()), as_seen(typed.seen)) << output();
    if (!typed.command.contains("kcat -P")) continue;
    ++produced;
    ASSERT_TRUE(wait_until([&] {
      return database.number(
                 "SELECT coalesce(sum(next_offset), 0)::bigint FROM penstock.offsets") >= produced;
    })) << harness::read_file(directory.path() / "serve.log");
  }
  EXPECT_EQ(produced, 1);
  EXPECT_TRUE(serve.terminate(SIGTERM, 30s).success());
}

TEST_F(Documents, BeginWithAPipelineThatTakesTheOrderOfTheExamples) {
  const auto yaml = blocks("README.md", "yaml");
  ASSERT_FALSE(yaml.empty());
  std::ofstream file(directory.path() / "readme.yaml");
  for (const std::string& line : yaml.front()) file << line << "\n";
  file.close();
  run("penstock check --config readme.yaml");
  run("penstock eval --config readme.yaml --msg order.json");
  EXPECT_TRUE(output().contains("column total      60\n")) << output();
}

}  // namespace
}  // namespace penstock::test
