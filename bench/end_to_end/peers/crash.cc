#include "end_to_end/peers/crash.h"

#include <algorithm>
#include <chrono>
#include <format>
#include <thread>

#include "end_to_end/bench_support.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

// Longer than a broker takes to notice that the killed member of a group is gone.
constexpr auto kPatience = 60s;
// Longer than any program waits for a batch to fill.
constexpr auto kSettled = 3s;

// Waits for so many rows. False when there are no more for a while.
bool wait_for_rows(Stage& stage, const Program& program, const Job& job,
                   harness::ChildProcess& process, const std::string& what, std::int64_t rows) {
  std::int64_t seen = -1;
  auto last_progress = std::chrono::steady_clock::now();
  while (seen < rows) {
    Stage::must_live(program, job, process);
    const auto now = std::chrono::steady_clock::now();
    if (const std::int64_t count = stage.count(what); count > seen) {
      seen = count;
      last_progress = now;
    } else if (now - last_progress > kPatience) {
      return false;
    }
    // Counting must not take the CPU from the program.
    std::this_thread::sleep_for(std::max<std::chrono::steady_clock::duration>(
        20ms, 4 * (std::chrono::steady_clock::now() - now)));
  }
  return true;
}

}  // namespace

Round crash_and_count(Stage& stage, const Program& program, const Job& job) {
  stage.make_table(program, job);
  auto process = need(program.start(job));
  if (!wait_for_rows(stage, program, job, process, "count(*)", job.records / 2)) {
    give_up(std::format("{} did not write half of the records:\n{}", program.name(),
                        harness::tail_of_file(job.log(), 20)));
  }
  process.kill();
  process = need(program.start(job));
  const std::string key = "count(DISTINCT " + job.workload->columns.front().name + ")";
  // First cheaply: as many rows as records, be they duplicates or not.
  wait_for_rows(stage, program, job, process, "count(*)", job.records);
  wait_for_rows(stage, program, job, process, key, job.records);
  // What comes twice may come last.
  std::int64_t rows = -1;
  while (rows != stage.count("count(*)")) {
    rows = stage.count("count(*)");
    std::this_thread::sleep_for(kSettled);
  }
  process.kill();
  const std::int64_t distinct = stage.count(key);
  return {{"records", static_cast<double>(job.records)},
          {"duplicates", static_cast<double>(rows - distinct)},
          {"lost", static_cast<double>(job.records - distinct)}};
}

}  // namespace penstock::bench
