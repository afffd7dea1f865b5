// What the end-to-end benchmarks share. A benchmark that cannot run ends with a message.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "harness/serve_process.h"
#include "harness/text_file.h"

namespace penstock::bench {

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  // Destructors of statics end the servers; those on the stack are ended by the kernel.
  std::exit(1);
}

template <typename T>
T need(Result<T> result) {
  if (!result) give_up(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A program beside this one.
inline std::string sibling(const std::string& name) {
  return (harness::this_executable().parent_path() / name).lexically_normal();
}

inline void migrate(const std::string& penstock, const std::string& conninfo,
                    const std::string& brokers, const std::filesystem::path& directory) {
  const std::filesystem::path config = directory / "migrate.yaml";
  need(harness::write_private_file(config, std::format(R"(pipelines:
  - name: migrate
    source: {{topics: [bench], group: migrate, kafka: {{bootstrap.servers: "{}"}}}}
    parse: {{json: {{}}}}
    sink: {{postgres: "{}", target: {{table: bench}}}}
)",
                                                       brokers, conninfo)));
  const auto output =
      need(harness::run_command({penstock, "migrate", "up", "--config", config}, directory));
  if (!output.status.success()) give_up("penstock migrate up: " + output.text);
}

}  // namespace penstock::bench
