// penstock_bench_peers: Penstock beside what its users would pick instead, and beside the ceiling.
//
// Programs take turns on the same servers and records; the order changes from round to round. What
// they did is counted in PostgreSQL and in /proc. README.md beside this file says how.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <format>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "demo/text_file.h"
#include "end_to_end/bench_support.h"
#include "end_to_end/peers/crash.h"
#include "end_to_end/peers/figures.h"
#include "end_to_end/peers/fill.h"
#include "end_to_end/peers/paced.h"
#include "end_to_end/peers/program.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/throughput.h"
#include "end_to_end/peers/workload.h"

namespace {

using namespace penstock;
using namespace penstock::bench;

constexpr const char* kLatency = "latency";
constexpr const char* kCrash = "crash";
constexpr std::int64_t kCrashRecords = 2'000'000;  // some seconds for the fastest

struct Options {
  bool json = false;
  int rounds = 3;
  int seconds = 60;
  std::int64_t records = 0;  // 0: more than any program moves
  std::vector<std::string> workloads;
  std::vector<std::string> programs;
  std::string penstock = sibling("../penstock");
  std::string ceiling = sibling("penstock_bench_thinnest");
  std::string kit;
};

// One turn of a round: a program under a name.
struct Turn {
  const Program* program;
  std::string name;
};

class Benchmark {
 public:
  explicit Benchmark(const Options& options)
      : options_(options), interval_(options.seconds), stage_(options.penstock) {
    add(make_penstock(options.penstock));
    add(make_ceiling(options.ceiling));
    add(make_redpanda_connect(options.kit));
    add(make_kafka_connect(options.kit));
  }

  Figures run() {
    for (const Workload& workload : workloads()) {
      if (wanted(options_.workloads, workload.name)) run_throughput(workload);
    }
    if (wanted(options_.workloads, kCrash)) run_crash();
    if (wanted(options_.workloads, kLatency)) run_latency();
    return figures_;
  }

  // Under which the figures were taken.
  std::string conditions() {
    std::string peers;
    std::istringstream versions(demo::read_file(std::filesystem::path(options_.kit) / "versions"));
    for (std::string line; std::getline(versions, line);) peers += ", " + line;
    return std::format(
        "\n{} x {} s for each program, medians; latency and SIGKILL once; {} CPUs for everything;\n"
        "real Kafka, {} partitions, lz4; PostgreSQL {}, fsync, max_wal_size {}, "
        "track_commit_timestamp,\nelse its defaults{}\n",
        options_.rounds, options_.seconds, std::thread::hardware_concurrency(), kPartitions,
        need(stage_.sql().value("SHOW server_version")),
        need(stage_.sql().value("SHOW max_wal_size")), peers);
  }

 private:
  static bool wanted(const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::ranges::find(names, name) != names.end();
  }

  void add(std::unique_ptr<Program> program) {
    if (!wanted(options_.programs, program->name())) return;
    if (program->is_peer()) figures_.peers.insert(program->name());
    programs_.push_back(std::move(program));
  }

  void run_throughput(const Workload& workload) {
    const std::int64_t records =
        options_.records > 0 ? options_.records : records_for(workload, interval_);
    stage_.fill_topic(workload, records);
    auto& results = figures_.throughput[workload.name];
    std::vector<Turn> turns;
    for (const auto& program : programs_) turns.push_back({program.get(), program->name()});
    if (workload.name == "orders" && turns.front().name == kPenstock) {
      turns.push_back({turns.front().program, std::string(kControl)});
    }
    for (int round = 0; round < options_.rounds; ++round) {
      for (const Turn& turn : turns) {
        const Job job = stage_.make_job(*turn.program, workload, workload.records, records);
        if (const std::string why = turn.program->excuse(job); !why.empty()) {
          if (round == 0) say(workload.name, turn.name, "left out: " + why);
          continue;
        }
        const Throughput figure = measure_throughput(stage_, *turn.program, job, interval_);
        say(workload.name, turn.name,
            std::format("{:.0f} records/s over {:.1f} s", figure.records_per_second,
                        figure.seconds));
        results[turn.name].push_back(figure);
      }
      std::ranges::rotate(turns, turns.begin() + 1);
    }
  }

  void run_crash() {
    const Workload& orders = workloads().front();
    const std::string topic = stage_.make_topic("crash");
    const std::int64_t records = options_.records > 0 ? options_.records : kCrashRecords;
    need(fill(stage_.brokers(), topic, orders, records));
    for (const auto& program : programs_) {
      Job job = stage_.make_job(*program, orders, topic, records);
      job.has_key = false;
      if (const std::string why = program->excuse(job); !why.empty()) {
        say(kCrash, program->name(), "left out: " + why);
        continue;
      }
      const CrashOutcome outcome = crash_and_count(stage_, *program, job);
      say(kCrash, program->name(),
          std::format("{} duplicates, {} lost", outcome.duplicates, outcome.lost));
      figures_.crash[program->name()] = outcome;
    }
    stage_.remove_topic(topic);
  }

  void run_latency() {
    for (const std::int64_t pace : {10'000, 50'000}) {
      const PacedRun run{.records_per_second = pace, .duration = interval_};
      auto& results = figures_.latency[pace];
      results[std::string(kBare)] = bare_latency(stage_, run);
      for (const auto& program : programs_) {
        if (program->name() == kCeiling) continue;  // it waits until 50,000 rows are there
        const auto report = measure_latency(stage_, *program, run);
        say(std::format("at {}/s", pace), program->name(),
            report ? std::format("p99 {:.1f} ms", report->p99_ms) : "fell behind");
        results[program->name()] = report;
      }
    }
  }

  static void say(const std::string& what, const std::string& who, const std::string& message) {
    std::fprintf(stderr, "%-14s %-18s %s\n", what.c_str(), who.c_str(), message.c_str());
  }

  const Options options_;
  const std::chrono::seconds interval_;
  Stage stage_;
  std::vector<std::unique_ptr<Program>> programs_;
  Figures figures_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<std::string> workload_names = {kCrash, kLatency};
  for (const Workload& workload : workloads()) workload_names.push_back(workload.name);
  CLI::App app("Penstock beside other programs that move records from Kafka into PostgreSQL");
  app.add_flag_callback(
      "--quick",
      [&] {
        options.rounds = 1;
        options.seconds = 15;
      },
      "one round of 15 s");
  app.add_flag("--json", options.json, "the last line is one JSON object");
  app.add_option("--workload", options.workloads, "only these, comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(workload_names));
  app.add_option("--programs", options.programs, "only these, comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember({"penstock", "ceiling", "redpanda-connect", "kafka-connect"}));
  app.add_option("--rounds", options.rounds)->capture_default_str();
  app.add_option("--seconds", options.seconds, "that each program is measured in each round")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600));
  app.add_option(
      "--records", options.records,
      "that lie ready (default: more than a fast program moves; one that runs out of them "
      "is measured until its last row)");
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.add_option("--kit", options.kit, "what tools/peers_kit.sh made");
  CLI11_PARSE(app, argc, argv);
  Benchmark benchmark(options);
  const Figures figures = benchmark.run();
  std::fputs((tables_of(figures) + benchmark.conditions()).c_str(), stdout);
  if (options.json) std::puts(json_of(figures).c_str());
}
