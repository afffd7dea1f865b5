// Every command that README and the documents tell people to type, typed: in examples/, on the
// shared servers. What needs a container engine or a cluster is left out, by name.
//
// A block of ```sh has commands that end well. The blocks of ```console on a page are one session,
// in one shell: a line that begins with "$ " is typed, one behind it that begins with "> " goes on
// with it, and the others are what is seen then, on standard output and error. A time stands for
// any time, and "…" for anything within a line. Job numbers, which only a terminal shows, are left
// out.
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
    for (const char* const file : {"orders.yaml", "customers.yaml"}) {
      std::ofstream(directory.path() / file, std::ios::app)
          << "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n";
    }
  }

  harness::SpawnOptions bash(const std::string& line) {
    return {.command = {"bash", "-euo", "pipefail", "-c", line},
            .environment = {{"PATH", (directory.path() / "bin").string() + ":" + getenv("PATH")},
                            {"KAFKA_BROKERS", shared_brokers()},
                            {"DATABASE_URL", database.conninfo()}},
            .log_file = directory.path() / "output",
            .working_directory = directory.path(),
            .run_as = {},
            .death_signal = SIGTERM};
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

// Until it is over, nobody else has a topic of that name.
class NamedTopic {
 public:
  explicit NamedTopic(std::string name) : name_(std::move(name)) {
    EXPECT_TRUE(wait_until(
        [this] { return harness::create_topic(shared_brokers(), name_, 1).has_value(); }, 120s));
  }
  ~NamedTopic() { std::ignore = harness::delete_topic(shared_brokers(), name_); }
  NamedTopic(const NamedTopic&) = delete;
  NamedTopic& operator=(const NamedTopic&) = delete;

 private:
  const std::string name_;
};

TEST_F(Documents, HaveCommandsThatDoWhatTheySay) {
  const NamedTopic topic("orders");
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
      } else if (typed.empty()) {
        ADD_FAILURE() << document << ": no command before: " << line;
      } else if (line.starts_with("> ") && typed.back().seen.empty()) {
        typed.back().command += "\n" + line.substr(2);
      } else {
        typed.back().seen += line + "\n";
      }
    }
  }
  return typed;
}

// Without what differs from day to day, and without blanks that nobody sees.
std::string as_seen(std::string text) {
  static const RE2 kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z)");
  static const RE2 kPlan(R"(  plan     [0-9a-f]{12}\n)");
  static const RE2 kBlanks(R"( +\n|\n+$)");
  RE2::GlobalReplace(&text, kTime, "TIME");
  RE2::GlobalReplace(&text, kPlan, "  plan     PLAN\n");
  RE2::GlobalReplace(&text, kBlanks, "\n");
  return text;
}

bool is_as_shown(const std::string& seen, const std::string& shown) {
  std::string pattern = RE2::QuoteMeta(shown);
  RE2::GlobalReplace(&pattern, "…", ".*");
  return RE2::FullMatch(seen, pattern);
}

class Session : public Documents {
 protected:
  // What is seen after each of the commands, in one shell.
  std::vector<std::string> type(const std::vector<Typed>& commands) {
    const std::string mark = unique_name("prompt");
    // What it has started goes with it, wherever it ends.
    std::string script = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT; trap exit TERM\n";
    for (const Typed& typed : commands) script += "echo " + mark + "\n" + typed.command + "\n";
    script += "echo " + mark + "\n";
    must(harness::write_private_file(directory.path() / "session", script));
    auto shell = must(harness::ChildProcess::spawn(bash("exec bash session")));
    const auto ended = shell.wait_for(kLongest);
    if (!ended) shell.terminate(SIGTERM, 10s);
    std::vector<std::string> seen;
    std::string all = output();
    for (std::size_t at = 0; (at = all.find(mark + "\n")) != std::string::npos;) {
      if (!seen.empty()) seen.back() = all.substr(0, at);
      all.erase(0, at + mark.size() + 1);
      seen.push_back(all);
    }
    EXPECT_TRUE(ended) << "it hangs in: " << commands[seen.empty() ? 0 : seen.size() - 1].command;
    EXPECT_EQ(seen.size(), commands.size() + 1) << output();
    return seen;
  }

  void expect_as_shown(const std::string& document) {
    const std::vector<Typed> commands = session(document);
    ASSERT_FALSE(commands.empty());
    const std::vector<std::string> seen = type(commands);
    for (std::size_t i = 0; i < std::min(commands.size(), seen.size()); ++i) {
      const std::string shown = as_seen(commands[i].seen);
      EXPECT_TRUE(is_as_shown(as_seen(seen[i]), shown))
          << document << ": after $ " << commands[i].command << "\nit shows\n"
          << shown << "but there was\n"
          << seen[i];
    }
    const std::filesystem::path log = directory.path() / "serve.log";
    if (HasFailure() && std::filesystem::exists(log)) {
      ADD_FAILURE() << "penstock serve said\n" << harness::read_file(log);
    }
  }

  static constexpr auto kLongest = 60s;
};

TEST_F(Session, FromADeadLetterToItsRowGoesAsItIsShown) {
  const NamedTopic orders("orders");
  expect_as_shown("docs/dead-letters.md");
}

TEST_F(Session, OfAWalkGoesAsItIsShown) {
  const NamedTopic customers("customers");
  const NamedTopic orders("orders");
  expect_as_shown("docs/walkthrough.md");
}

TEST_F(Session, IsComparedWithWhatIsThere) {
  const std::vector<Typed> commands = {
      {"echo a; false\nx=1", ""}, {"echo $x >&2", ""}, {"(exit 3)", ""}};
  EXPECT_EQ(type(commands), (std::vector<std::string>{"a\n", "1\n", "", ""}));
  EXPECT_TRUE(is_as_shown("id 17 of t, at 3\n", "id … of t, at …\n"));
  EXPECT_FALSE(is_as_shown("id 17 of t\nid 18 of t\n", "id … of t\n"));
  EXPECT_FALSE(is_as_shown("2 rows\n", "1 row\n"));
  EXPECT_EQ(as_seen("at 2026-11-29T10:00:00.461Z  \nx\n\n"), "at TIME\nx\n");
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
