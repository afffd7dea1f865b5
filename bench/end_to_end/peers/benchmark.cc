#include "end_to_end/peers/benchmark.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <format>
#include <utility>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/conditions.h"
#include "end_to_end/peers/crash.h"
#include "end_to_end/peers/fill.h"
#include "end_to_end/peers/paced.h"
#include "end_to_end/peers/throughput.h"
#include "end_to_end/peers/workload.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kCrashRecords = 2'000'000;  // some seconds for the fastest
constexpr std::array<std::int64_t, 2> kPaces = {10'000, 50'000};
constexpr std::chrono::seconds kWarmUpTurn{20};
constexpr std::int64_t kMergedRecords = 2'000'000;
// One lane and worker, more of each alone, more of both.
constexpr std::array<PenstockThreads, 6> kThreads = {{{.lanes = 1, .workers = 1},
                                                      {.lanes = 2, .workers = 1},
                                                      {.lanes = 1, .workers = 2},
                                                      {.lanes = 2, .workers = 2},
                                                      {.lanes = 4, .workers = 4},
                                                      {}}};

bool names(const std::vector<std::string>& list, std::string_view name) {
  return list.empty() || std::ranges::find(list, name) != list.end();
}

void say(const std::string& what, const std::string& who, const std::string& message) {
  std::fprintf(stderr, "%-14s %-20s %s\n", what.c_str(), who.c_str(), message.c_str());
}

std::string name_of(PenstockThreads threads) {
  if (threads.lanes == 0) return "default";
  return std::format("lanes {}, workers {}", threads.lanes, threads.workers);
}

std::map<std::string, std::string> postgresql_settings(harness::Sql& sql) {
  std::map<std::string, std::string> all;
  for (const std::string name : {"fsync", "synchronous_commit", "max_wal_size", "shared_buffers",
                                 "track_commit_timestamp"}) {
    all[name] = need(sql.value("SHOW " + name));
  }
  return all;
}

}  // namespace

std::vector<std::string> workload_names() {
  std::vector<std::string> all;
  for (const Workload& workload : workloads()) {
    if (workload.name != kUpsertAll) all.push_back(workload.name);
  }
  for (const std::string_view name : {kScaling, kCrash, kLatency}) all.emplace_back(name);
  return all;
}

std::vector<std::string> program_names() {
  return {std::string(kPenstock), std::string(kCeiling), "flink-sql", "kafka-connect"};
}

Result<std::vector<std::unique_ptr<Program>>> make_programs(const BenchmarkOptions& options) {
  std::vector<std::unique_ptr<Program>> all;
  all.push_back(make_penstock(options.penstock));
  all.push_back(make_ceiling(options.ceiling));
  all.push_back(make_flink_sql(options.peers_kit));
  all.push_back(make_kafka_connect(options.peers_kit));
  std::erase_if(all,
                [&](const auto& program) { return !names(options.programs, program->name()); });
  for (const auto& program : all) {
    if (const auto missing = program->missing(); !missing.empty()) {
      return fail(
          ErrorKind::not_found,
          std::format("{} cannot take part: {} is not there", program->name(), missing.string()),
          program->is_peer() ? "./dev bench peers makes it, once, over the network; or "
                               "leave it out: --programs penstock,ceiling"
                             : "./dev bench peers builds it");
    }
  }
  return all;
}

Benchmark::Benchmark(const BenchmarkOptions& options,
                     std::vector<std::unique_ptr<Program>> programs)
    : options_(options),
      programs_(std::move(programs)),
      stage_(options.penstock, options.in_memory) {
  conditions_.machine = machine();
  conditions_.machine["servers' files"] = options.in_memory ? "in memory" : "on a disk";
  conditions_.versions = versions(options.kafka_kit, options.peers_kit);
  conditions_.versions["penstock"] = options.commit;
  conditions_.versions["postgresql"] = need(stage_.sql().value("SHOW server_version"));
  conditions_.postgresql_settings = postgresql_settings(stage_.sql());
}

void Benchmark::run() {
  // Those with the same records one after the other: they are produced once.
  for (const Workload& workload : workloads()) {
    if (wanted(workload.name == kUpsertAll ? kUpsert : workload.name)) {
      std::vector<Turn> all = turns();
      if (workload.upserts) all.push_back({.program = nullptr, .name = std::string(kMerge)});
      if (workload.name == "orders" && names(options_.programs, kPenstock)) {
        all.push_back({.program = programs_.front().get(), .name = std::string(kControl)});
      }
      run_throughput(workload.name, workload.summary, workload, all);
    }
    if (workload.name == "orders" && wanted(kScaling)) run_scaling();
  }
  if (wanted(kCrash)) run_crash();
  if (!wanted(kLatency)) return;
  for (const std::int64_t pace : kPaces) run_latency(pace);
}

bool Benchmark::wanted(std::string_view workload) const {
  return names(options_.workloads, workload);
}

std::vector<Benchmark::Turn> Benchmark::turns() const {
  std::vector<Turn> all;
  for (const auto& program : programs_) {
    all.push_back({.program = program.get(), .name = program->name()});
  }
  return all;
}

WorkloadResults Benchmark::results_of(const std::string& summary, std::int64_t records) const {
  WorkloadResults results{
      .summary = summary, .conditions = conditions_, .programs = {}, .left_out = {}};
  results.conditions.date = date_now();
  results.conditions.amounts = {{"rounds", options_.rounds},
                                {"seconds", options_.interval.count()},
                                {"records", records},
                                {"partitions", kPartitions}};
  return results;
}

void Benchmark::take_turns(WorkloadResults& results, std::vector<Turn> turns, int rounds,
                           const Measure& measure) {
  for (int round = 0; round < rounds; ++round) {
    for (const Turn& turn : turns) {
      auto figures = measure(turn);
      Measured& measured = results.programs[turn.name];
      measured.rounds.push_back(std::move(figures));
      if (turn.program == nullptr) continue;
      measured.is_peer = turn.program->is_peer();
      measured.configuration = stage_.configuration(options_.peers_kit);
    }
    std::ranges::rotate(turns, turns.begin() + 1);
  }
}

void Benchmark::keep(const std::string& workload, const WorkloadResults& results) const {
  if (!results.programs.empty()) need(keep_results(options_.results, workload, results));
}

void Benchmark::run_throughput(const std::string& name, const std::string& summary,
                               const Workload& workload, const std::vector<Turn>& turns) {
  std::int64_t records =
      options_.records > 0 ? options_.records : records_for(workload, options_.interval);
  if (workload.upserts) records = std::min(records, workload.upserts->most_records());
  stage_.fill_topic(workload, records);
  WorkloadResults results = results_of(summary, records);
  const auto job_of = [&](const Turn& turn) {
    return stage_.make_job(*turn.program, workload, workload.records, records);
  };
  std::vector<Turn> able;
  for (const Turn& turn : turns) {
    const std::string why = turn.program ? turn.program->excuse(job_of(turn)) : "";
    if (why.empty()) {
      able.push_back(turn);
    } else {
      say(name, turn.name, "left out: " + why);
      results.left_out[turn.name] = why;
    }
  }
  if (able.empty() || able.front().program == nullptr) return;
  if (!std::exchange(servers_are_warm_, true)) {
    // New servers are slow: the broker's code is not compiled.
    (void)measure_throughput(stage_, *able.front().program, job_of(able.front()),
                             std::min(options_.interval, kWarmUpTurn));
  }
  take_turns(results, able, options_.rounds, [&](const Turn& turn) {
    Round figures =
        turn.program == nullptr
            ? measure_merge(stage_, workload, std::min(records, kMergedRecords))
            : measure_throughput(stage_, *turn.program, job_of(turn), options_.interval);
    say(name, turn.name,
        std::format("{:.0f} records/s over {:.1f} s", figures.at("records_per_second"),
                    figures.at("seconds")));
    return figures;
  });
  keep(name, results);
}

void Benchmark::run_scaling() {
  if (!names(options_.programs, kPenstock)) return;
  std::vector<std::unique_ptr<Program>> programs;
  std::vector<Turn> turns;
  for (const PenstockThreads threads : kThreads) {
    programs.push_back(make_penstock(options_.penstock, threads));
    turns.push_back({.program = programs.back().get(), .name = name_of(threads)});
  }
  run_throughput(std::string(kScaling), "orders, by Penstock with more lanes and workers",
                 workloads().front(), turns);
}

void Benchmark::run_crash() {
  const Workload& orders = workloads().front();
  const std::string topic = stage_.make_topic(std::string(kCrash));
  const std::int64_t records = options_.records > 0 ? options_.records : kCrashRecords;
  need(fill(stage_.brokers(), topic, orders, records));
  WorkloadResults results = results_of("SIGKILL when half of the orders are rows", records);
  results.conditions.amounts["rounds"] = 1;
  std::vector<Turn> able;
  const auto job_of = [&](const Turn& turn) {
    Job job = stage_.make_job(*turn.program, orders, topic, records);
    job.has_key = false;
    return job;
  };
  for (const Turn& turn : turns()) {
    if (const std::string why = turn.program->excuse(job_of(turn)); !why.empty()) {
      results.left_out[turn.name] = why;
    } else {
      able.push_back(turn);
    }
  }
  take_turns(results, able, 1, [&](const Turn& turn) {
    Round outcome = crash_and_count(stage_, *turn.program, job_of(turn));
    say(std::string(kCrash), turn.name,
        std::format("{} duplicates, {} lost", outcome.at("duplicates"), outcome.at("lost")));
    return outcome;
  });
  stage_.remove_topic(topic);
  keep(std::string(kCrash), results);
}

void Benchmark::run_latency(std::int64_t records_per_second) {
  const PacedRun run{.records_per_second = records_per_second, .duration = options_.interval};
  const std::string name = std::format("latency-{}", records_per_second);
  WorkloadResults results =
      results_of(std::format("orders at {} a second, linger.ms=5", records_per_second),
                 records_per_second * run.duration.count());
  std::vector<Turn> able = {{.program = nullptr, .name = std::string(kBare)}};
  for (const Turn& turn : turns()) {
    if (turn.name == kCeiling) {
      results.left_out[turn.name] = "it waits until 50,000 rows are there";
    } else {
      able.push_back(turn);
    }
  }
  take_turns(results, able, options_.rounds, [&](const Turn& turn) {
    const auto figures = turn.program == nullptr ? bare_latency(stage_, run)
                                                 : measure_latency(stage_, *turn.program, run);
    say(name, turn.name,
        figures ? std::format("p99 {:.1f} ms", figures->at("p99_ms")) : "fell behind");
    return figures;
  });
  keep(name, results);
}

}  // namespace penstock::bench
