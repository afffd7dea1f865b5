// Every file of cases: our own beside this one, and one from elsewhere if
// PENSTOCK_CONFORMANCE_CASES names it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "conformance/case.h"
#include "conformance/run_case.h"

namespace penstock::conformance {
namespace {

std::vector<std::filesystem::path> case_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_CONFORMANCE_DIRECTORY)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  const char* more = std::getenv("PENSTOCK_CONFORMANCE_CASES");
  if (more != nullptr && *more != '\0') files.emplace_back(more);
  return files;
}

class Conformance : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Conformance, HoldsInEveryCaseOf) {
  std::ifstream file(GetParam());
  ASSERT_TRUE(file) << GetParam() << " cannot be opened";
  const auto cases = read_cases(file, GetParam().filename());
  ASSERT_TRUE(cases) << cases.error();
  for (const Case& test : *cases) {
    const auto failure = run_case(test);
    if (failure) ADD_FAILURE() << describe(*failure);
  }
}

INSTANTIATE_TEST_SUITE_P(Cel, Conformance, testing::ValuesIn(case_files()), [](const auto& info) {
  std::string name = info.param.stem();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace penstock::conformance
