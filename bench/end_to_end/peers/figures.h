// What a run of ./dev bench peers has found out: tables for people, one JSON object for the next
// change.
//
// Threads: one. Figures that were not taken are null in the JSON and left out of the tables.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "demo/latency.h"
#include "end_to_end/peers/crash.h"
#include "end_to_end/peers/throughput.h"

namespace penstock::bench {

// The A/A control: Penstock once more in every round, as if it were another program.
inline constexpr std::string_view kControl = "penstock again";
inline constexpr std::string_view kBare = "bare consumer";

struct Figures {
  std::set<std::string> peers;  // the programs that somebody else made
  // By workload and program, every round.
  std::map<std::string, std::map<std::string, std::vector<Throughput>>> throughput;
  std::map<std::string, CrashOutcome> crash;
  // By records per second and program; nothing: it fell behind.
  std::map<std::int64_t, std::map<std::string, std::optional<demo::LatencyReport>>> latency;
};

[[nodiscard]] std::string tables_of(const Figures& figures);
// Ratios above 1 mean that Penstock is better.
[[nodiscard]] std::string json_of(const Figures& figures);

}  // namespace penstock::bench
