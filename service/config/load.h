// Loads a configuration file: YAML → penstock.v1.Config, strictly, with the place of every mistake.
//
// The message decides what the file may say: keys are field names, by reflection, so that a new
// field needs no code here. What YAML adds: durations ("250ms", "30s", "5m"), sizes ("64MiB") in
// fields that end in `_bytes`, enum values in lower case without their prefix ("earliest"),
// `${VAR}` in values, anchors, aliases and merge keys (`<<`).
//
// Failure: what is wrong is reported at once, in the order of the file, up to kMostProblems of it;
// nothing is guessed. Limits: 1 MiB of text, 64 levels, 100,000 values after aliases are followed.
// Threads: free functions, callable from any thread.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

#include "config/environment.h"
#include "config/problem.h"
#include "config/source_map.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::config {

inline constexpr std::size_t kMostProblems = 100;

struct Loaded {
  penstock::v1::Config config;  // validated (validate.h), defaults filled in (with_defaults)
  SourceMap places;             // of what the file says; what came from defaults is not in it
  Problems notes;               // what works and is worth a word
};

[[nodiscard]] std::expected<Loaded, Problems> load_file(
    const std::filesystem::path& path, const Environment& environment = process_environment(),
    Servers servers = Servers::needed);

// `file` is the name that problems carry.
[[nodiscard]] std::expected<Loaded, Problems> load_text(
    std::string_view text, std::string file, const Environment& environment = process_environment(),
    Servers servers = Servers::needed);

}  // namespace penstock::config
