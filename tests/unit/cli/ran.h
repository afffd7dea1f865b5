// A command line of penstock, run in this process, and what came of it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/cli.h"

namespace penstock::cli {

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

inline Ran ran(const std::vector<std::string>& words) {
  std::vector<const char*> arguments{"penstock"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run(static_cast<int>(arguments.size()), arguments.data());
  return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

}  // namespace penstock::cli
