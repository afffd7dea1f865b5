// A program that moves records from Kafka into PostgreSQL, as the benchmark sees it: a process that
// is started with a configuration, and stopped or killed.
//
// What a program did is counted in PostgreSQL and in /proc, never asked of it.
// Threads: one at a time. Failure: start() says why there is no process; what it says afterwards is
// in its log. Stop: the process that start() returns ends with its handle.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.h"
#include "end_to_end/peers/workload.h"
#include "harness/child_process.h"

namespace penstock::bench {

struct Database {
  std::uint16_t port = 0;  // of 127.0.0.1; the delaying proxy's, where there is one
  std::string user = "postgres";
  std::string password;
  std::string name = "bench";
};

struct Job {
  const Workload* workload = nullptr;
  std::string brokers;
  std::string topic;
  std::int64_t records = 0;         // in the topic, at least
  Database database;                // with the table `bench`
  std::string name;                 // of this run: the consumer group, and the files
  std::filesystem::path directory;  // for configurations and logs
  // The table has a key, so what comes twice must be written once.
  bool has_key = true;
  // Records come at this pace and are wanted soon; 0: they lie ready, and the rate counts.
  std::int64_t paced_per_second = 0;

  [[nodiscard]] std::filesystem::path log() const { return directory / (name + ".log"); }
};

class Program {
 public:
  virtual ~Program() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  // Why it does not take part, if it does not.
  [[nodiscard]] virtual std::string excuse(const Job& /*job*/) const { return ""; }
  // SQL that makes the table fit for it.
  [[nodiscard]] virtual std::string adapt_table(const Workload& /*workload*/) const { return ""; }
  // Writes its configuration and starts it. Started again with the same job, it goes on.
  [[nodiscard]] virtual Result<harness::ChildProcess> start(const Job& job) const = 0;
  // The file that it cannot do without and that is not there; empty if nothing is missing.
  [[nodiscard]] virtual std::filesystem::path missing() const = 0;
  // From the first row until it is measured: until it does what it can.
  [[nodiscard]] virtual std::chrono::seconds warm_up() const { return std::chrono::seconds(3); }
  // Whether it was made by somebody else.
  [[nodiscard]] virtual bool is_peer() const { return false; }
};

inline constexpr std::string_view kPenstock = "penstock";
inline constexpr std::string_view kCeiling = "ceiling";

// What scaling is about; 0: Penstock's own default.
struct PenstockThreads {
  int lanes = 0;
  int workers = 0;
};

// penstock, ceiling, flink-sql, kafka-connect. `kit` is what tools/peers_kit.sh made.
[[nodiscard]] std::unique_ptr<Program> make_penstock(const std::filesystem::path& program,
                                                     PenstockThreads threads = {});
[[nodiscard]] std::unique_ptr<Program> make_ceiling(const std::filesystem::path& program);
[[nodiscard]] std::unique_ptr<Program> make_flink_sql(const std::filesystem::path& kit);
[[nodiscard]] std::unique_ptr<Program> make_kafka_connect(const std::filesystem::path& kit);

// The first of them that is not there.
[[nodiscard]] inline std::filesystem::path first_missing(
    const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return file;
  }
  return {};
}

// Starts a program of the job; what it says goes to the job's log.
[[nodiscard]] inline Result<harness::ChildProcess> run(const Job& job,
                                                       std::vector<std::string> command) {
  return harness::ChildProcess::spawn({.command = std::move(command),
                                       .environment = {},
                                       .log_file = job.log(),
                                       .working_directory = {},
                                       .run_as = {}});
}

// "host=127.0.0.1 …".
[[nodiscard]] std::string conninfo_of(const Database& database);

}  // namespace penstock::bench
