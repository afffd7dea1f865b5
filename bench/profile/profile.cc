// penstock_profile: samples Penstock with perf while it moves a workload at full speed on servers
// of its own. Leaves perf's samples, and the run's facts as one JSON object, for report.py. The
// ceiling program can take Penstock's place: its threads are the floor of Penstock's stages.
//
// Penstock is the one that ships: stacks come from its unwind tables (--call-graph dwarf),
// because Debian's librdkafka, libpq and libc have no frame pointers. Where the machine has no
// hardware counters, as most virtual ones, perf itself falls back from cycles to a timer.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <format>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/process_tree.h"
#include "end_to_end/peers/program.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/throughput.h"
#include "end_to_end/peers/workload.h"
#include "harness/latency.h"
#include "harness/text_file.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using namespace penstock::bench;

constexpr auto kPerfPatience = 60s;  // for what it has to write after the interval
// Of the stack, with each sample. The poll thread has 8 KiB of messages in one frame.
constexpr int kStackBytes = 16'384;

struct Options {
  std::string program{kPenstock};
  std::string workload = "orders";
  int seconds = 10;
  int frequency = 499;  // not a divisor of what timers run at
  std::int64_t records = 0;
  std::filesystem::path samples = "penstock.perf";
  std::filesystem::path facts = "facts.json";
  std::string penstock = sibling("../penstock");
  std::string ceiling = sibling("penstock_bench_thinnest");
};

// A moment of the run.
struct Mark {
  std::int64_t at_us = 0;  // since 1970
  CpuTimes cpu;
};

class ProfiledRun {
 public:
  ProfiledRun(const Options& options, const Workload& workload)
      : options_(options), workload_(workload), stage_(options.penstock) {}

  std::string run() {
    const std::int64_t records =
        options_.records > 0 ? options_.records
                             : records_for(workload_, std::chrono::seconds(options_.seconds));
    stage_.fill_topic(workload_, records);
    const auto program = options_.program == kPenstock ? make_penstock(options_.penstock)
                                                       : make_ceiling(options_.ceiling);
    const Job job = stage_.make_job(*program, workload_, workload_.records, records);
    if (const std::string why = program->excuse(job); !why.empty()) give_up(why);
    stage_.make_table(*program, job);
    auto process = need(program->start(job));
    wait_for_first_row(stage_, *program, job, process);
    std::this_thread::sleep_for(program->warm_up());
    const Mark before = mark(process);
    sample(job, process);
    const Mark after = mark(process);
    Stage::must_live(*program, job, process);
    const double peak_mb = peak_resident_mb_of_tree(process.pid());
    process.kill();
    const std::int64_t rows = rows_between(before, after);
    if (stage_.count("count(*)") >= records / workload_.keep_one_in) {
      give_up(
          std::format("all {} records were moved before the profile was taken: let more lie "
                      "ready by --records",
                      records));
    }
    if (rows == 0) give_up("no row was written while the profile was taken");
    return facts(before, after, rows * workload_.keep_one_in, peak_mb);
  }

 private:
  [[nodiscard]] Mark mark(const harness::ChildProcess& process) const {
    return {.at_us = harness::system_now_us(), .cpu = stage_.cpu_times(process.pid())};
  }

  // By PostgreSQL's commit times.
  std::int64_t rows_between(const Mark& before, const Mark& after) {
    return need(stage_.sql().number(std::format(
        "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT count(*) AS n, "
        "extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6 AS us FROM bench GROUP BY xmin) "
        "t WHERE us >= {} AND us < {}",
        before.at_us, after.at_us)));
  }

  void sample(const Job& job, const harness::ChildProcess& process) const {
    const std::filesystem::path log = job.directory / "perf.log";
    auto perf = need(harness::ChildProcess::spawn(
        {.command = {"perf", "record", "--event", "cycles", "--freq",
                     std::to_string(options_.frequency), "--call-graph",
                     std::format("dwarf,{}", kStackBytes), "--output", options_.samples, "--pid",
                     std::to_string(process.pid()), "--", "sleep",
                     std::to_string(options_.seconds)},
         .environment = {},
         .log_file = log,
         .working_directory = {},
         .run_as = {}}));
    const auto status = perf.wait_for(std::chrono::seconds(options_.seconds) + kPerfPatience);
    if (!status || !status->success()) {
      give_up(std::format("perf record {}:\n{}",
                          status ? "ended with " + status->to_string() : "did not end",
                          harness::tail_of_file(log, 20)));
    }
  }

  [[nodiscard]] std::string facts(const Mark& before, const Mark& after, std::int64_t records,
                                  double peak_mb) const {
    const double seconds = static_cast<double>(after.at_us - before.at_us) / 1e6;
    return std::format(
        R"({{"program":"{}","workload":"{}","summary":"{}","seconds":{:.3f},"records":{},)"
        R"("program_cpu_s":{:.2f},"servers_cpu_s":{:.2f},"broker_cpu_s":{:.2f},)"
        R"("peak_resident_mb":{:.0f},"cpus":{}}})",
        options_.program, workload_.name, workload_.summary, seconds, records,
        after.cpu.program - before.cpu.program, after.cpu.servers - before.cpu.servers,
        after.cpu.broker - before.cpu.broker, peak_mb, std::thread::hardware_concurrency());
  }

  const Options options_;
  const Workload& workload_;
  Stage stage_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Samples Penstock with perf while it moves records at full speed, on a real broker and\n"
      "PostgreSQL of its own. ./dev profile makes of it: build/profile/PROGRAM-WORKLOAD.svg, a "
      "flame graph "
      "to\n"
      "open in a browser, and tables of the CPU time by thread, stage and function.\n"
      "A stage's time includes what it called: copies, allocations, the kernel. Nanoseconds per "
      "record\n"
      "are CPU time; threads run side by side, so a stage that waits costs nothing. build/profile "
      "keeps\n"
      "the samples for: perf report --input build/profile/samples.perf");
  std::vector<std::string> names;
  for (const Workload& workload : workloads()) names.push_back(workload.name);
  app.add_option("--workload", options.workload, "what is moved")
      ->capture_default_str()
      ->check(CLI::IsMember(names));
  app.add_option("--program", options.program, "what is sampled")
      ->capture_default_str()
      ->check(CLI::IsMember({std::string(kPenstock), std::string(kCeiling)}));
  app.add_option("--seconds", options.seconds, "that are sampled, after a warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 600));
  app.add_option("--frequency", options.frequency, "samples per second of CPU time")
      ->capture_default_str()
      ->check(CLI::Range(1, 4'000));
  app.add_option("--records", options.records,
                 "that lie ready (default: more than a fast program moves)");
  // Given by ./dev.
  app.add_option("--samples", options.samples)->group("");
  app.add_option("--facts", options.facts)->group("");
  app.add_option("--penstock", options.penstock, "the program's file")->capture_default_str();
  app.name("./dev profile");
  CLI11_PARSE(app, argc, argv);
  const Workload& workload = *std::ranges::find(workloads(), options.workload, &Workload::name);
  const std::string facts = ProfiledRun(options, workload).run();
  need(harness::write_private_file(options.facts, facts + "\n"));
}
