// Which pipeline and which database a command means that works on what Penstock has stored.
//
// Threads: the main one. Failure: problems of the configuration are printed, and it is false.
#pragma once

#include <set>
#include <string>

namespace penstock::config {
struct Loaded;
}  // namespace penstock::config

namespace penstock::cli {

// The number of the pipeline in the file; -1: there is none of this name.
[[nodiscard]] int index_of(const config::Loaded& loaded, const std::string& name);

// The databases that are meant, as connection strings: `database` if it is named, that of a
// pipeline of this name in the configuration file, or all of the file.
[[nodiscard]] bool databases_of(const std::string& config, const std::string& database,
                                const std::string& pipeline, std::set<std::string>& found);

}  // namespace penstock::cli
