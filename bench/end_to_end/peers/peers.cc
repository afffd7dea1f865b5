// penstock_bench_peers: Penstock beside what its users would pick instead, and beside the ceiling.
//
// Programs take turns on the same servers and records; the order changes from round to round. What
// they did is counted in PostgreSQL and in /proc, and kept in a file that report/ makes tables of.
// README.md beside this file says how.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdlib>
#include <string>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/benchmark.h"
#include "end_to_end/peers/results.h"

int main(int argc, char** argv) {
  using namespace penstock::bench;
  BenchmarkOptions options;
  options.penstock = sibling("../penstock");
  options.ceiling = sibling("penstock_bench_thinnest");
  if (const char* kit = std::getenv("PENSTOCK_KAFKA_KIT")) options.kafka_kit = kit;
  int seconds = 60;
  CLI::App app("Penstock beside other programs that move records from Kafka into PostgreSQL",
               "./dev bench peers");
  app.add_flag_callback(
      "--quick",
      [&] {
        options.rounds = 1;
        seconds = 15;
      },
      "one round of 15 s");
  app.add_option("--workload", options.workloads, "only these, comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(workload_names()));
  app.add_option("--programs", options.programs, "only these, comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(program_names()));
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::Range(1, 100));
  app.add_option("--seconds", seconds, "that each program is measured in each round")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600));
  app.add_option(
         "--records", options.records,
         "that lie ready (default: more than a fast program moves; one that runs out of them "
         "is measured until its last row)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--in-memory", options.in_memory,
               "the servers keep their files in memory, where no disk stalls");
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.add_option("--kit", options.peers_kit, "what tools/peers_kit.sh made");
  app.add_option("--results", options.results, "where the figures go; other workloads in it stay")
      ->required();
  app.add_option("--commit", options.commit, "of Penstock");
  CLI11_PARSE(app, argc, argv);
  options.interval = std::chrono::seconds(seconds);
  if (options.in_memory) ::setenv("TMPDIR", "/dev/shm", 1);
  need(check_results(options.results));
  Benchmark(options, need(make_programs(options))).run();
}
