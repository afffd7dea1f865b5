#include "end_to_end/peers/paced.h"

#include <format>
#include <functional>
#include <thread>

#include "end_to_end/bare_consumer.h"
#include "end_to_end/bench_support.h"
#include "end_to_end/peers/fill.h"
#include "harness/latency.h"
#include "harness/order_producer.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

// Before a program's run, at once: its groups are joined, its caches and its compiler warm.
constexpr std::int64_t kFirstRecords = 50'000;

std::int64_t records_of(const PacedRun& run) {
  return run.records_per_second * run.duration.count();
}

// Returns the time before which records are left out.
std::int64_t produce(Stage& stage, const std::string& topic, const PacedRun& run) {
  const std::int64_t started = harness::system_now_us();
  const auto producer = need(harness::OrderProducer::start(
      {.bootstrap_servers = stage.brokers(),
       .topic = topic,
       .stream = {.partitions = kPartitions, .seed = 1, .bad_one_in = 0},
       .records = records_of(run),
       .rate = run.records_per_second}));
  need(producer->wait());
  return started + std::chrono::microseconds(run.duration).count() / 3;
}

bool wait_until(std::chrono::seconds limit, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(50ms);
  }
  return true;
}

Round to_round(const harness::LatencyReport& report) {
  return {{"rows", static_cast<double>(report.rows)},
          {"p50_ms", report.p50_ms},
          {"p99_ms", report.p99_ms},
          {"p999_ms", report.p999_ms},
          {"max_ms", report.max_ms}};
}

}  // namespace

Round bare_latency(Stage& stage, const PacedRun& run) {
  const std::string topic = stage.make_topic(std::format("bare-{}", run.records_per_second));
  BareConsumer consumer(stage.brokers(), topic, kPartitions);
  const std::int64_t from_us = produce(stage, topic, run);
  if (!wait_until(30s, [&] { return consumer.received() >= records_of(run); })) {
    give_up("the bare consumer is stuck");
  }
  stage.remove_topic(topic);
  return to_round(latency_of(consumer.finish(), from_us));
}

std::optional<Round> measure_latency(Stage& stage, const Program& program, const PacedRun& run) {
  const Workload& workload = timed_orders();
  const std::string topic =
      stage.make_topic(std::format("{}-at-{}", program.name(), run.records_per_second));
  Job job = stage.make_job(program, workload, topic, kFirstRecords + records_of(run));
  job.paced_per_second = run.records_per_second;
  stage.make_table(program, job);
  auto process = need(program.start(job));
  need(fill(stage.brokers(), topic, workload, kFirstRecords));
  const auto has = [&](std::int64_t rows) {
    Stage::must_live(program, job, process);
    return stage.count("count(*)") >= rows;
  };
  if (!wait_until(120s, [&] { return has(kFirstRecords); })) {
    give_up(std::format("{} did not write the first {} records:\n{}", program.name(), kFirstRecords,
                        harness::tail_of_file(job.log(), 20)));
  }
  const std::int64_t from_us = produce(stage, topic, run);
  const bool kept_up = wait_until(30s, [&] { return has(job.records); });
  process.kill();
  stage.remove_topic(topic);
  if (!kept_up) return std::nullopt;
  return to_round(need(harness::produce_to_visible(
      {.conninfo = stage.conninfo(), .table = "bench", .from_us = from_us, .excluded = {}})));
}

}  // namespace penstock::bench
