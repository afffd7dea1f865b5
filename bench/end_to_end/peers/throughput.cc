#include "end_to_end/peers/throughput.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>
#include <thread>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/process_tree.h"
#include "harness/latency.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstRowLimit = 120s;
constexpr auto kFastWarmUp = 3s;

struct Counted {
  double rows = 0;      // committed within the interval
  double all_rows = 0;  // since the program began
  double last_s = 0;    // the last commit, since 1970
};

Counted count_rows(Stage& stage, double begun_s, double from_s, double to_s) {
  const auto rows = need(stage.sql().query(
      std::format("SELECT coalesce(sum(n) FILTER (WHERE s >= {0:.6f} AND s < {1:.6f}), 0), "
                  "coalesce(sum(n), 0), coalesce(max(s), 0) FROM (SELECT count(*) AS n, "
                  "extract(epoch FROM pg_xact_commit_timestamp(xmin)) AS s "
                  "FROM bench GROUP BY xmin) t WHERE s >= {2:.6f}",
                  from_s, to_s, begun_s)));
  const auto number = [&](std::size_t column) { return std::atof(rows[0][column]->c_str()); };
  return {.rows = number(0), .all_rows = number(1), .last_s = number(2)};
}

// Of everything that has nothing to do with the benchmark.
double others_cpu_seconds() { return cpu_seconds_of_machine() - cpu_seconds_of_tree(::getpid()); }

double now_s() { return static_cast<double>(harness::system_now_us()) / 1e6; }

}  // namespace

void wait_for_first_row(Stage& stage, const Program& program, const Job& job,
                        harness::ChildProcess& process) {
  const auto deadline = std::chrono::steady_clock::now() + kFirstRowLimit;
  while (!stage.has_rows()) {
    Stage::must_live(program, job, process);
    if (std::chrono::steady_clock::now() > deadline) {
      give_up(std::format("{} wrote no row in {}:\n{}", program.name(), kFirstRowLimit,
                          harness::tail_of_file(job.log(), 20)));
    }
    std::this_thread::sleep_for(50ms);
  }
}

std::int64_t records_for(const Workload& workload, std::chrono::seconds interval) {
  return workload.records_per_second * (interval + kFastWarmUp).count();
}

Round measure_merge(Stage& stage, const Workload& workload, std::int64_t records) {
  stage.make_table(workload, /*has_key=*/true);
  need(stage.sql().execute(create_staged(workload, records)));
  need(stage.sql().execute("ANALYZE staged"));
  need(stage.sql().execute("CHECKPOINT"));
  const double servers_s = stage.cpu_times(::getpid()).servers;
  const double others_s = others_cpu_seconds();
  const double begun_s = now_s();
  need(stage.sql().execute(merge_staged(workload)));
  const double took_s = now_s() - begun_s;
  const auto merged = static_cast<double>(records);
  const double cpu_s = stage.cpu_times(::getpid()).servers - servers_s;
  const double others_cpus = (others_cpu_seconds() - others_s) / took_s;
  need(stage.sql().execute("DROP TABLE staged"));
  return {
      {"records_per_second", merged / took_s}, {"seconds", took_s}, {"program_cpu", 0},
      {"servers_cpu", cpu_s / merged * 1e6},   {"peak_mb", 0},      {"others_cpus", others_cpus}};
}

Round measure_throughput(Stage& stage, const Program& program, const Job& job,
                         std::chrono::seconds interval) {
  stage.make_table(program, job);
  const double begun_s = now_s();
  auto process = need(program.start(job));
  wait_for_first_row(stage, program, job, process);
  std::this_thread::sleep_for(program.warm_up());

  const double from_s = now_s();
  const CpuTimes before = stage.cpu_times(process.pid());
  const double others_before_s = others_cpu_seconds();
  const auto until = std::chrono::steady_clock::now() + interval;
  while (std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(100ms);
    Stage::must_live(program, job, process);
  }
  const CpuTimes after = stage.cpu_times(process.pid());
  const double others_s = others_cpu_seconds() - others_before_s;
  double to_s = now_s();
  const double others_cpus = others_s / (to_s - from_s);
  const double peak_mb = peak_resident_mb_of_tree(process.pid());
  process.kill();

  const Counted counted = count_rows(stage, begun_s, from_s, to_s);
  // A program that ran out of records stands still after its last commit.
  const double wanted = static_cast<double>(job.records) / job.workload->keep_one_in;
  const bool ran_out = counted.all_rows >= wanted;
  if (ran_out) to_s = std::min(to_s, counted.last_s);
  if (counted.rows == 0 || to_s <= from_s) {
    give_up(ran_out
                ? std::format("{} had moved all {} records before it was measured: let more lie "
                              "ready by --records",
                              program.name(), job.records)
                : std::format("{} wrote nothing while it was measured:\n{}", program.name(),
                              harness::tail_of_file(job.log(), 20)));
  }
  const double records = counted.rows * job.workload->keep_one_in;
  return {{"records_per_second", records / (to_s - from_s)},
          {"seconds", to_s - from_s},
          {"program_cpu", (after.program - before.program) / records * 1e6},
          {"servers_cpu", (after.servers - before.servers) / records * 1e6},
          {"peak_mb", peak_mb},
          {"others_cpus", others_cpus}};
}

}  // namespace penstock::bench
