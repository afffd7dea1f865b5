// fuzz_seeds DIRECTORY [CASES.jsonl...]: what the fuzz targets start from. Writes into DIRECTORY
// a folder of seeds per target, from the examples of the function tables and the expressions of the
// conformance cases, and a dictionary of names and operators.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "cel/library/library.h"

namespace penstock::cel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWords[] = {"&&",
                                       "||",
                                       "==",
                                       "!=",
                                       "<=",
                                       ">=",
                                       "?",
                                       ":",
                                       "!",
                                       "in",
                                       "[?",
                                       ".?",
                                       "{?",
                                       "null",
                                       "true",
                                       "false",
                                       "u",
                                       "0x",
                                       "b'",
                                       "r\"",
                                       "'''",
                                       "\\u00e9",
                                       "\\x",
                                       "has(",
                                       "msg.a",
                                       "record",
                                       "groups",
                                       "any",
                                       "all(",
                                       "exists(",
                                       "map(",
                                       "filter(",
                                       "sortBy(",
                                       "exists_one(",
                                       "transformMap(",
                                       "transformMapEntry(",
                                       "transformList(",
                                       "optMap(",
                                       "optFlatMap(",
                                       "cel.bind(",
                                       "cel.block(",
                                       "cel.index(",
                                       "//",
                                       "google.protobuf.Timestamp"};

class Seeds {
 public:
  explicit Seeds(fs::path directory) : directory_(std::move(directory)) {
    for (const char* target : {"compile", "evaluate"}) fs::create_directories(directory_ / target);
  }

  void add(std::string_view expression) {
    if (!known_.emplace(expression).second) return;
    const std::string name = std::to_string(known_.size());
    const char evaluated[] = {"\1\5\3"[known_.size() % 3], '\0'};
    // An option byte in front; behind an expression to evaluate, its end and some bytes of values.
    write(directory_ / "compile" / name, std::string(1, '\0') + std::string(expression));
    write(directory_ / "evaluate" / name,
          std::string(evaluated) + std::string(expression) + std::string(1, '\0') + name + name);
  }

  void add_cases(const std::string& file) {
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      const auto one = nlohmann::json::parse(line, nullptr, false);
      if (one.is_object() && one.contains("expr")) add(one["expr"].get<std::string>());
    }
    if (!lines.eof()) throw std::runtime_error("cannot read " + file);
  }

  void write_dictionary() const {
    std::string text;
    const auto add_word = [&](std::string_view word) {
      text += '"';
      for (const char c : word) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
      }
      text += "\"\n";
    };
    for (const Function& function : all_functions()) {
      if (function.name.find_first_of("_@!") != 0) add_word(function.name + "(");
    }
    for (const std::string_view word : kWords) add_word(word);
    write(directory_ / "dictionary", text);
  }

  [[nodiscard]] std::size_t count() const { return known_.size(); }

 private:
  static void write(const fs::path& path, std::string_view text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  }

  fs::path directory_;
  std::set<std::string, std::less<>> known_;
};

int run(std::span<char*> args) {
  if (args.size() < 2) {
    std::fputs("usage: fuzz_seeds DIRECTORY [CASES.jsonl...]\n", stderr);
    return 2;
  }
  Seeds seeds(args[1]);
  for (const FunctionGroup& group : function_groups()) {
    for (const FunctionRow& row : group.rows) {
      if (!row.example.empty()) seeds.add(row.example);
    }
  }
  for (const char* file : args.subspan(2)) seeds.add_cases(file);
  seeds.write_dictionary();
  std::printf("%zu seeds\n", seeds.count());
  return 0;
}

}  // namespace
}  // namespace penstock::cel

int main(int argc, char** argv) {
  try {
    return penstock::cel::run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_seeds: %s\n", error.what());
    return 1;
  }
}
