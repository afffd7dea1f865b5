// What was measured, as a JSON file that outlives the run: report/ makes tables and
// docs/benchmarks.md of it.
//
// A workload stands for itself, with its own conditions: measuring it again replaces it and leaves
// the others as they are, so that a long comparison can be made in parts.
// Threads: one. Failure: a file that is not ours is refused, never replaced; a write that fails
// leaves the old file. A reader sees the old file or the new one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace penstock::bench {

// Figures by name, units in the names.
using Round = std::map<std::string, double>;

struct Measured {
  bool is_peer = false;                              // somebody else made it
  std::vector<std::optional<Round>> rounds;          // nothing: the program fell behind
  std::map<std::string, std::string> configuration;  // by the file's ending
};

// Under which a workload was measured.
struct Conditions {
  std::string date;  // ISO 8601, UTC
  std::map<std::string, std::int64_t> amounts;
  std::map<std::string, std::string> machine;
  std::map<std::string, std::string> versions;
  std::map<std::string, std::string> postgresql_settings;
};

struct WorkloadResults {
  std::string summary;
  Conditions conditions;
  std::map<std::string, Measured> programs;
  std::map<std::string, std::string> left_out;  // program → why
};

// Whether a workload could be kept in this file: asked before anything is measured.
[[nodiscard]] Result<void> check_results(const std::filesystem::path& file);
[[nodiscard]] Result<void> keep_results(const std::filesystem::path& file,
                                        const std::string& workload,
                                        const WorkloadResults& results);

}  // namespace penstock::bench
