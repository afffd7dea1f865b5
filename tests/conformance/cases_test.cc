// Every file of cases: our own beside this one, and one from elsewhere if
// PENSTOCK_CONFORMANCE_CASES names it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "conformance/case.h"
#include "conformance/run_case.h"

namespace penstock::conformance {
namespace {

struct CaseFile {
  std::filesystem::path path;
};

void PrintTo(const CaseFile& file, std::ostream* out) { *out << file.path.filename().string(); }

std::vector<CaseFile> case_files() {
  std::vector<CaseFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_CONFORMANCE_DIRECTORY)) {
    if (entry.path().extension() == ".jsonl") files.push_back({entry.path()});
  }
  std::ranges::sort(files, {}, &CaseFile::path);
  const char* more = std::getenv("PENSTOCK_CONFORMANCE_CASES");
  if (more != nullptr && *more != '\0') files.push_back({more});
  return files;
}

class Conformance : public testing::TestWithParam<CaseFile> {};

TEST_P(Conformance, HoldsInEveryCaseOf) {
  const std::filesystem::path& path = GetParam().path;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " cannot be opened";
  const auto cases = read_cases(file, path.filename());
  ASSERT_TRUE(cases) << cases.error();
  for (const Case& test : *cases) {
    const auto failure = run_case(test);
    if (failure) ADD_FAILURE() << describe(*failure);
  }
}

INSTANTIATE_TEST_SUITE_P(Cel, Conformance, testing::ValuesIn(case_files()), [](const auto& info) {
  std::string name = info.param.path.stem();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace penstock::conformance
