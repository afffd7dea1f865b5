// One run of ./dev bench peers: every wanted workload, the programs in turns, what was measured
// into the results file.
//
// Threads: one. Failure: ends the process with a message; workloads that were measured before are
// in the file. Stop: the servers end with this object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/results.h"
#include "end_to_end/peers/stage.h"

namespace penstock::bench {

// The A/A control: Penstock once more in every round, as if it were another program.
inline constexpr std::string_view kControl = "penstock again";
inline constexpr std::string_view kBare = "bare consumer";
inline constexpr std::string_view kMerge = "merge";  // PostgreSQL's own
inline constexpr std::string_view kCrash = "crash";
inline constexpr std::string_view kLatency = "latency";
inline constexpr std::string_view kScaling = "scaling";
inline constexpr std::string_view kUpsert = "upsert";  // names both
inline constexpr std::string_view kUpsertAll = "upsert-all";

struct BenchmarkOptions {
  int rounds = 3;
  std::chrono::seconds interval{60};
  std::int64_t records = 0;            // 0: more than any program moves
  std::vector<std::string> workloads;  // empty: all
  std::vector<std::string> programs;   // empty: all
  bool in_memory = false;              // the servers' files
  std::filesystem::path penstock;
  std::filesystem::path ceiling;
  std::filesystem::path peers_kit;
  std::filesystem::path kafka_kit;
  std::filesystem::path results;
  std::string commit;  // of Penstock
};

// What --workload and --programs may name.
[[nodiscard]] std::vector<std::string> workload_names();
[[nodiscard]] std::vector<std::string> program_names();

// The programs that take part, or what one of them lacks and how to get it.
[[nodiscard]] Result<std::vector<std::unique_ptr<Program>>> make_programs(
    const BenchmarkOptions& options);

class Benchmark {
 public:
  Benchmark(const BenchmarkOptions& options, std::vector<std::unique_ptr<Program>> programs);

  void run();

 private:
  // A program under a name; none: the bare consumer, or PostgreSQL's own merge.
  struct Turn {
    const Program* program = nullptr;
    std::string name;
  };
  using Measure = std::function<std::optional<Round>(const Turn&)>;

  [[nodiscard]] bool wanted(std::string_view workload) const;
  [[nodiscard]] std::vector<Turn> turns() const;
  [[nodiscard]] WorkloadResults results_of(const std::string& summary, std::int64_t records) const;
  // A B C, B C A, …
  void take_turns(WorkloadResults& results, std::vector<Turn> turns, int rounds,
                  const Measure& measure);
  void keep(const std::string& workload, const WorkloadResults& results) const;

  void run_throughput(const std::string& name, const std::string& summary, const Workload& workload,
                      const std::vector<Turn>& turns);
  void run_scaling();
  void run_crash();
  void run_latency(std::int64_t records_per_second);

  const BenchmarkOptions options_;
  const std::vector<std::unique_ptr<Program>> programs_;
  Stage stage_;
  bool servers_are_warm_ = false;
  Conditions conditions_;
};

}  // namespace penstock::bench
