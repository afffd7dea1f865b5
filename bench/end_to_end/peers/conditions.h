// On what the figures were taken: the machine, the versions, what PostgreSQL was told.
//
// Threads: any. Failure: what cannot be found out is "unknown".
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace penstock::bench {

// Of this moment, e.g. "2026-11-21T18:37:53Z".
[[nodiscard]] std::string date_now();
// CPUs and their model, memory, kernel.
[[nodiscard]] std::map<std::string, std::string> machine();
// Of the text of /proc/cpuinfo.
[[nodiscard]] std::string cpu_model(std::string_view cpuinfo);
// Of the broker (by the jars of its kit), librdkafka, and the peers (by the file that
// tools/peers_kit.sh makes).
[[nodiscard]] std::map<std::string, std::string> versions(const std::filesystem::path& kafka_kit,
                                                          const std::filesystem::path& peers_kit);

}  // namespace penstock::bench
