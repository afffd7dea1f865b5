// penstock_bench_latency: produce → visible in PostgreSQL, beside a consumer that only receives.
//
// A paced producer (linger 5 ms), real servers with fsync on. The bare consumer and Penstock run
// one after the other on the same servers. The first third of each run is left out.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <format>
#include <string>
#include <thread>

#include "end_to_end/bare_consumer.h"
#include "end_to_end/bench_support.h"
#include "harness/kafka_admin.h"
#include "harness/latency.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/order_producer.h"
#include "harness/serve_process.h"
#include "harness/sql.h"
#include "harness/temporary_directory.h"
#include "harness/verifier.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using namespace penstock::bench;

constexpr harness::OrderStream kStream{.partitions = 8, .seed = 1, .bad_one_in = 0};

struct Options {
  std::int64_t rate = 10'000;
  int seconds = 60;
  bool json = false;
  std::string penstock = sibling("../penstock");
  std::string conninfo;  // added to the pipeline's connection string
};

// Produces one run's records into a fresh topic; returns when it began.
std::int64_t produce(const Options& options, const std::string& brokers, const std::string& topic) {
  const std::int64_t started = harness::system_now_us();
  const auto producer =
      need(harness::OrderProducer::start({.bootstrap_servers = brokers,
                                          .topic = topic,
                                          .stream = kStream,
                                          .records = options.rate * options.seconds,
                                          .rate = options.rate}));
  need(producer->wait());
  return started;
}

harness::LatencyReport run_bare(const Options& options, const std::string& brokers) {
  need(harness::create_topic(brokers, "bare", kStream.partitions));
  BareConsumer consumer(brokers, "bare", kStream.partitions);
  const std::int64_t started = produce(options, brokers, "bare");
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (consumer.received() < options.rate * options.seconds) {
    if (std::chrono::steady_clock::now() > deadline) give_up("the bare consumer is stuck");
    std::this_thread::sleep_for(10ms);
  }
  return latency_of(consumer.finish(), started + options.seconds * 1'000'000LL / 3);
}

harness::LatencyReport run_penstock(const Options& options, const std::string& brokers,
                                    const std::string& conninfo) {
  need(harness::create_topic(brokers, "bench", kStream.partitions));
  const auto directory = need(harness::TemporaryDirectory::make("penstock-bench"));
  need(need(harness::Sql::connect(conninfo))
           .execute(
               "CREATE TABLE bench (id bigint PRIMARY KEY, customer text, total double precision, "
               "placed_at timestamptz, sent_us bigint)"));
  migrate(options.penstock, conninfo, brokers, directory.path());
  auto serve = need(harness::ServeProcess::start(
      {.program = options.penstock,
       .directory = directory.path(),
       .name = "serve",
       .config = std::format(R"(pipelines:
  - name: bench
    source: {{topics: [bench], group: bench, kafka: {{bootstrap.servers: "{}"}}}}
    parse: {{json: {{}}}}
    compute:
      let:
        total: double(msg.quantity) * msg.unit_price
    sink:
      postgres: "{}"
      target:
        table: bench
        columns:
          id: msg.id
          customer: msg.customer
          total: total
          placed_at: timestamp(msg.placed_at)
          sent_us: msg.sent_us
server: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0"}}
log: {{format: json}}
)",
                             brokers, conninfo + " " + options.conninfo),
       .environment = {}}));
  const std::int64_t started = produce(options, brokers, "bench");
  const std::int64_t records = options.rate * options.seconds;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (need(harness::records_applied(conninfo, "bench")) < records) {
    if (std::chrono::steady_clock::now() > deadline)
      give_up("not everything arrived: " + serve.log());
    std::this_thread::sleep_for(50ms);
  }
  if (need(need(harness::Sql::connect(conninfo)).number("SELECT count(*) FROM bench")) != records) {
    give_up("the rows are not the records");
  }
  return need(harness::produce_to_visible({.conninfo = conninfo,
                                           .table = "bench",
                                           .from_us = started + options.seconds * 1'000'000LL / 3,
                                           .excluded = {}}));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Latency from produce to visible, beside a consumer that only receives");
  app.add_option("--rate", options.rate, "records per second")->capture_default_str();
  app.add_option("--seconds", options.seconds, "of each run")->capture_default_str();
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.add_option("--conninfo", options.conninfo,
                 "added to the pipeline's connection string, for example "
                 "options='-c synchronous_commit=off'");
  app.add_flag("--json", options.json, "the last line is one JSON object");
  CLI11_PARSE(app, argc, argv);

  const auto kafka = need(harness::LocalKafka::start());
  const auto postgres =
      need(harness::LocalPostgres::start({.settings = {{"track_commit_timestamp", "on"}}}));
  need(postgres->create_database("bench"));
  std::fprintf(stderr, "bare consumer, %d s\n", options.seconds);
  const auto bare = run_bare(options, kafka->bootstrap_servers());
  std::fprintf(stderr, "penstock, %d s\n", options.seconds);
  const auto ours = run_penstock(options, kafka->bootstrap_servers(), postgres->conninfo("bench"));

  std::printf("\n%-26s %9s %9s %9s %10s\n", "milliseconds", "p50", "p99", "max", "records");
  const auto line = [](const char* name, const harness::LatencyReport& report) {
    std::printf("%-26s %9.1f %9.1f %9.1f %10lld\n", name, report.p50_ms, report.p99_ms,
                report.max_ms, static_cast<long long>(report.rows));
  };
  line("bare: produce -> received", bare);
  line("penstock: -> visible", ours);
  std::printf(
      "\n%lld records/s for %d s, the first third left out; linger 5 ms, 8 partitions, real "
      "Kafka,\nPostgreSQL with default settings and fsync%s%s; commit times are PostgreSQL's; "
      "%u CPUs for everything\n",
      static_cast<long long>(options.rate), options.seconds,
      options.conninfo.empty() ? "" : ", but for ", options.conninfo.c_str(),
      std::thread::hardware_concurrency());
  if (options.json) {
    std::printf(
        "%s\n",
        std::format(R"({{"rate":{},"seconds":{},"bare_ms":{{"p50":{:.2f},"p99":{:.2f},)"
                    R"("max":{:.2f}}},"penstock_ms":{{"p50":{:.2f},"p99":{:.2f},"max":{:.2f}}}}})",
                    options.rate, options.seconds, bare.p50_ms, bare.p99_ms, bare.max_ms,
                    ours.p50_ms, ours.p99_ms, ours.max_ms)
            .c_str());
  }
}
