// A pipeline whose table is held against its records.
//
// Threads: the test's own. A member that cannot do its part fails the test.
#pragma once

#include <gtest/gtest.h>

#include <format>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "harness/text_file.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {

using Json = nlohmann::json;
using Records = std::vector<std::optional<std::string>>;

class Verify : public testing::Test {
 protected:
  explicit Verify(ServiceOptions options = {}) : service(std::move(options)) {}

  // `penstock verify p WORDS…`, which ends with this status.
  std::string run(std::vector<std::string> words = {}, int status = 0) {
    return run_with(service.config(), std::move(words), status);
  }
  std::string run_with(const std::string& config, std::vector<std::string> words, int status) {
    words.insert(words.begin(), {"verify", "p"});
    const auto output = service.run_with_config(std::move(words), config);
    EXPECT_EQ(output.status.code, status) << output.text;
    return output.text;
  }
  // Starts it, and returns while it runs; its output is in the file that output() reads.
  harness::ChildProcess start(const std::vector<std::string>& words = {}) {
    const auto file = service.directory() / "penstock.yaml";
    must(harness::write_private_file(file, service.config()));
    std::vector<std::string> command = {penstock_program(), "verify", "p", "--config", file};
    command.insert(command.end(), words.begin(), words.end());
    return must(harness::ChildProcess::spawn({.command = std::move(command),
                                              .environment = {},
                                              .log_file = service.directory() / "output",
                                              .working_directory = {},
                                              .run_as = {}}));
  }
  std::string output() const { return harness::read_file(service.directory() / "output"); }
  // What it says of the first table.
  Json verify(std::vector<std::string> words = {}, int status = 0) {
    words.emplace_back("--json");
    const std::string text = run(std::move(words), status);
    const Json json = Json::parse(text.substr(0, text.find('\n')), nullptr, false);
    EXPECT_TRUE(json.is_object()) << text;
    if (!json.is_object() || json["tables"].empty()) return Json::object();
    last = json;
    return json["tables"][0];
  }
  void expect(const Json& table, int missing, int extra, int different) {
    EXPECT_EQ(table["missing"], missing) << table;
    EXPECT_EQ(table["extra"], extra) << table;
    EXPECT_EQ(table["different"], different) << table;
  }
  // Records {"n": …, "s": "value n"} of from … to.
  static Records records(int from, int to) {
    Records all;
    for (int n = from; n <= to; ++n)
      all.push_back(std::format(R"({{"n":{0},"s":"value {0}"}})", n));
    return all;
  }
  void execute(const std::string& statements) { service.database().execute(statements); }

  Service service;
  Json last;  // all that it said
};

// `text` with `what`, which is there, replaced.
inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("there is no " + what + " in " + text);
  return text.replace(at, what.size(), by);
}

}  // namespace penstock::test
