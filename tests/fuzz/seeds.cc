// fuzz_seeds DIRECTORY [CASES.jsonl...]: what the fuzz targets start from, and dictionaries. The
// expressions of the conformance cases are among it.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>

#include "fuzz/seed_folder.h"

namespace penstock {
namespace {

void add_cases(SeedFolder& folder, const std::string& file) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const auto one = nlohmann::json::parse(line, nullptr, false);
    if (one.is_object() && one.contains("expr"))
      add_expression_seed(folder, one["expr"].get<std::string>());
  }
  if (!lines.eof()) throw std::runtime_error("cannot read " + file);
}

int run(std::span<char*> args) {
  if (args.size() < 2) {
    std::fputs("usage: fuzz_seeds DIRECTORY [CASES.jsonl...]\n", stderr);
    return 2;
  }
  SeedFolder folder(args[1]);
  add_expression_seeds(folder);
  for (const char* file : args.subspan(2)) add_cases(folder, file);
  add_input_seeds(folder);
  std::printf("%zu seeds\n", folder.count());
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  try {
    return penstock::run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_seeds: %s\n", error.what());
    return 1;
  }
}
