// penstock_profile: samples Penstock with perf while it moves a workload at full speed on servers
// of its own. Leaves perf's samples, and the run's facts as one JSON object, for report.py.
//
// The program is the one that ships: stacks come from its unwind tables (--call-graph dwarf),
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

#include "demo/text_file.h"
#include "end_to_end/bench_support.h"
#include "end_to_end/peers/process_tree.h"
#include "end_to_end/peers/program.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/throughput.h"
#include "end_to_end/peers/workload.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using namespace penstock::bench;

constexpr auto kFirstRowLimit = 60s;
constexpr auto kPerfPatience = 60s;  // for what it has to write after the interval
// Of the stack, with each sample. The poll thread has 8 KiB of messages in one frame.
constexpr int kStackBytes = 16'384;

struct Options {
  std::string workload = "orders";
  int seconds = 10;
  int frequency = 499;  // not a divisor of what timers run at
  std::int64_t records = 0;
  std::filesystem::path samples = "penstock.perf";
  std::filesystem::path facts = "facts.json";
  std::string penstock = sibling("../penstock");
};

// A moment of the run.
struct Mark {
  std::chrono::steady_clock::time_point at;
  std::int64_t records = 0;
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
    const auto program = make_penstock(options_.penstock);
    const Job job = stage_.make_job(*program, workload_, workload_.records, records);
    stage_.make_table(*program, job);
    auto penstock = need(program->start(job));
    wait_for_first_commit(*program, job, penstock);
    std::this_thread::sleep_for(kWarmUp);
    const Mark before = mark(job, penstock);
    sample(job, penstock);
    const Mark after = mark(job, penstock);
    Stage::must_live(*program, job, penstock);
    if (after.records >= records) {
      give_up(
          std::format("all {} records were moved before the profile was taken: let more lie "
                      "ready by --records",
                      records));
    }
    if (after.records == before.records) give_up("no record was moved while it was profiled");
    return facts(before, after, peak_resident_mb_of_tree(penstock.pid()));
  }

 private:
  // Positions are committed with the rows, and counting them costs nobody anything.
  std::int64_t committed(const Job& job) {
    return need(stage_.sql().number(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM penstock.offsets WHERE pipeline = '" +
        job.name + "'"));
  }

  void wait_for_first_commit(const Program& program, const Job& job, demo::ChildProcess& penstock) {
    const auto deadline = std::chrono::steady_clock::now() + kFirstRowLimit;
    while (committed(job) == 0) {
      Stage::must_live(program, job, penstock);
      if (std::chrono::steady_clock::now() > deadline) {
        give_up(std::format("penstock committed nothing in {}:\n{}", kFirstRowLimit,
                            demo::tail_of_file(job.log(), 20)));
      }
      std::this_thread::sleep_for(50ms);
    }
  }

  Mark mark(const Job& job, const demo::ChildProcess& penstock) {
    return {.at = std::chrono::steady_clock::now(),
            .records = committed(job),
            .cpu = stage_.cpu_times(penstock.pid())};
  }

  void sample(const Job& job, const demo::ChildProcess& penstock) const {
    const std::filesystem::path log = job.directory / "perf.log";
    auto perf = need(demo::ChildProcess::spawn(
        {.command = {"perf", "record", "--event", "cycles", "--freq",
                     std::to_string(options_.frequency), "--call-graph",
                     std::format("dwarf,{}", kStackBytes), "--output", options_.samples, "--pid",
                     std::to_string(penstock.pid()), "--", "sleep",
                     std::to_string(options_.seconds)},
         .environment = {},
         .log_file = log,
         .working_directory = {},
         .run_as = {}}));
    const auto status = perf.wait_for(std::chrono::seconds(options_.seconds) + kPerfPatience);
    if (!status || !status->success()) {
      give_up(std::format("perf record {}:\n{}",
                          status ? "ended with " + status->to_string() : "did not end",
                          demo::tail_of_file(log, 20)));
    }
  }

  [[nodiscard]] std::string facts(const Mark& before, const Mark& after, double peak_mb) const {
    const auto records = static_cast<double>(after.records - before.records);
    const double seconds = std::chrono::duration<double>(after.at - before.at).count();
    return std::format(R"({{"workload":"{}","summary":"{}","seconds":{:.3f},"records":{:.0f},)"
                       R"("program_cpu_s":{:.2f},"servers_cpu_s":{:.2f},"broker_cpu_s":{:.2f},)"
                       R"("peak_resident_mb":{:.0f},"cpus":{}}})",
                       workload_.name, workload_.summary, seconds, records,
                       after.cpu.program - before.cpu.program,
                       after.cpu.servers - before.cpu.servers, after.cpu.broker - before.cpu.broker,
                       peak_mb, std::thread::hardware_concurrency());
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
      "PostgreSQL of its own. ./dev profile makes of it: build/profile/WORKLOAD.svg, a flame graph "
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
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.name("./dev profile");
  CLI11_PARSE(app, argc, argv);
  const Workload& workload = *std::ranges::find(workloads(), options.workload, &Workload::name);
  const std::string facts = ProfiledRun(options, workload).run();
  need(demo::write_private_file(options.facts, facts + "\n"));
}
