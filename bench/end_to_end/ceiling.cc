// penstock_bench_ceiling: Penstock against the thinnest program, on the same records and servers.
//
// Records lie ready in a real broker; the programs take turns; rows are counted in PostgreSQL and
// times are PostgreSQL's own commit times. fsync is on.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <format>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "end_to_end/bench_support.h"
#include "harness/kafka_admin.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/order_producer.h"
#include "harness/serve_process.h"
#include "harness/sql.h"
#include "harness/temporary_directory.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using namespace penstock::bench;

struct Options {
  std::int64_t records = 3'000'000;
  int rounds = 3;
  int writers = 2;
  int lanes = 2;
  bool json = false;
  std::string penstock = sibling("../penstock");
  std::string thinnest = sibling("penstock_bench_thinnest");
};

struct Run {
  double rows_per_second = 0;  // from the first commit to the last one
  double wall_seconds = 0;     // from the program's start to the last commit
  double cpu_seconds = 0;
  double resident_mb = 0;
};

struct Stage {
  const Options& options;
  harness::LocalKafka& kafka;
  harness::LocalPostgres& postgres;
  harness::Sql sql;
  harness::TemporaryDirectory directory;
  std::string topic = "bench";
  int round = 0;
};

constexpr const char* kTable =
    "DROP TABLE IF EXISTS bench; CREATE TABLE bench (id bigint PRIMARY KEY, customer text, "
    "total double precision, placed_at timestamptz); CHECKPOINT";

// Waits for the last row, then takes the figures from the table.
Run measure(Stage& stage, pid_t pid, std::chrono::system_clock::time_point started) {
  const std::int64_t records = stage.options.records;
  const auto deadline = std::chrono::steady_clock::now() + 600s;
  // The statistics are cheap and at most a second late; what counts is counted afterwards.
  while (need(stage.sql.number("SELECT coalesce(sum(n_tup_ins), 0)::bigint FROM "
                               "pg_stat_user_tables WHERE relname = 'bench'")) < records ||
         need(stage.sql.number("SELECT count(*) FROM bench")) < records) {
    if (std::chrono::steady_clock::now() > deadline) give_up("the records did not arrive");
    std::this_thread::sleep_for(100ms);
  }
  Run run;
  run.cpu_seconds = harness::cpu_seconds_of(pid);
  run.resident_mb = static_cast<double>(harness::peak_resident_kb_of(pid)) / 1024.0;
  const auto rows = need(stage.sql.query(
      "SELECT sum(n), (array_agg(n ORDER BY at))[1], extract(epoch FROM max(at) - min(at)), "
      "extract(epoch FROM max(at)) FROM (SELECT count(*) AS n, pg_xact_commit_timestamp(xmin) AS "
      "at "
      "FROM bench GROUP BY xmin) t"));
  const auto number = [&](std::size_t column) { return std::atof(rows[0][column]->c_str()); };
  if (number(0) != static_cast<double>(records)) give_up("the rows are not the records");
  run.rows_per_second = (number(0) - number(1)) / number(2);
  run.wall_seconds = number(3) - std::chrono::duration<double>(started.time_since_epoch()).count();
  return run;
}

Run run_thinnest(Stage& stage) {
  need(stage.sql.execute(kTable));
  const auto started = std::chrono::system_clock::now();
  auto child = need(harness::ChildProcess::spawn(
      {.command = {stage.options.thinnest, stage.kafka.bootstrap_servers(), stage.topic, "8",
                   std::to_string(stage.options.records), stage.postgres.conninfo("bench"), "bench",
                   std::to_string(stage.options.writers)},
       .environment = {},
       .log_file = stage.directory.path() / "thinnest.log",
       .working_directory = {},
       .run_as = {}}));
  return measure(stage, child.pid(), started);
}

Run run_penstock(Stage& stage) {
  need(stage.sql.execute(kTable));
  const std::string name = std::format("bench-{}", ++stage.round);
  const auto started = std::chrono::system_clock::now();
  auto serve = need(harness::ServeProcess::start(
      {.program = stage.options.penstock,
       .directory = stage.directory.path(),
       .name = name,
       .config = std::format(R"(pipelines:
  - name: {0}
    source:
      topics: [bench]
      group: {0}
      kafka: {{bootstrap.servers: "{1}"}}
    parse: {{json: {{}}}}
    compute:
      let:
        total: double(msg.quantity) * msg.unit_price
    sink:
      postgres: "{2}"
      target:
        table: bench
        columns:
          id: msg.id
          customer: msg.customer
          total: total
          placed_at: timestamp(msg.placed_at)
server: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0", lanes: {3}}}
log: {{format: json}}
)",
                             name, stage.kafka.bootstrap_servers(),
                             stage.postgres.conninfo("bench"), stage.options.lanes),
       .environment = {}}));
  const Run run = measure(stage, serve.process().pid(), started);
  serve.stop();
  return run;
}

std::vector<double> column(const std::vector<Run>& runs, double Run::* field) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(run.*field);
  return values;
}

void report(const Options& options, const std::vector<Run>& penstock,
            const std::vector<Run>& thinnest) {
  const double ours = median(column(penstock, &Run::rows_per_second));
  const double ceiling = median(column(thinnest, &Run::rows_per_second));
  const auto line = [](const char* name, const std::vector<Run>& runs) {
    std::string all;
    for (const Run& run : runs) all += std::format(" {:.0f}", run.rows_per_second);
    std::printf("%-10s %12.0f %12.1f %12.1f %12.0f   %s\n", name,
                median(column(runs, &Run::rows_per_second)),
                median(column(runs, &Run::wall_seconds)), median(column(runs, &Run::cpu_seconds)),
                median(column(runs, &Run::resident_mb)), all.c_str());
  };
  std::printf("\n%-10s %12s %12s %12s %12s   %s\n", "program", "rows/s", "wall s", "CPU s",
              "resident MB", "rows/s of every round");
  line("penstock", penstock);
  line("thinnest", thinnest);
  std::printf("ratio      %12.2f\n\n%s\n", ours / ceiling,
              std::format("{} records of about 190 bytes of JSON, 8 partitions, lz4, real Kafka; "
                          "PostgreSQL with fsync, max_wal_size 8GB, primary key on id;\n"
                          "medians of {} alternating rounds; rows/s from the first commit to the "
                          "last, wall from the program's start; {} lanes, {} writers; {} CPUs",
                          options.records, options.rounds, options.lanes, options.writers,
                          std::thread::hardware_concurrency())
                  .c_str());
  if (options.json) {
    std::printf("%s\n",
                std::format(R"({{"records":{},"rounds":{},"penstock_rows_per_second":{:.0f},)"
                            R"("ceiling_rows_per_second":{:.0f},"ratio":{:.3f}}})",
                            options.records, options.rounds, ours, ceiling, ours / ceiling)
                    .c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool only_thinnest = false;
  CLI::App app("Penstock against the thinnest program: rows per second into PostgreSQL");
  app.add_option("--records", options.records)->capture_default_str();
  app.add_option("--rounds", options.rounds)->capture_default_str();
  app.add_option("--writers", options.writers, "of the thinnest program")->capture_default_str();
  app.add_option("--lanes", options.lanes, "of Penstock")->capture_default_str();
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.add_flag("--only-thinnest", only_thinnest, "the ceiling alone");
  app.add_flag("--json", options.json, "the last line is one JSON object");
  CLI11_PARSE(app, argc, argv);

  const auto kafka = need(harness::LocalKafka::start({.kit = {}, .settings = {}}));
  const auto postgres = need(harness::LocalPostgres::start(
      {.settings = {{"max_wal_size", "8GB"}, {"track_commit_timestamp", "on"}}}));
  need(postgres->create_database("bench"));
  Stage stage{.options = options,
              .kafka = *kafka,
              .postgres = *postgres,
              .sql = need(harness::Sql::connect(postgres->conninfo("bench"))),
              .directory = need(harness::TemporaryDirectory::make("penstock-bench"))};
  need(harness::create_topic(kafka->bootstrap_servers(), stage.topic, 8));
  std::fprintf(stderr, "producing %s records\n", std::to_string(options.records).c_str());
  const auto producer =
      need(harness::OrderProducer::start({.bootstrap_servers = kafka->bootstrap_servers(),
                                          .topic = stage.topic,
                                          .stream = {.partitions = 8, .seed = 1, .bad_one_in = 0},
                                          .records = options.records,
                                          .rate = 0,
                                          .compression = "lz4",
                                          .linger_ms = 20}));
  need(producer->wait());

  if (!only_thinnest)
    migrate(options.penstock, postgres->conninfo("bench"), kafka->bootstrap_servers(),
            stage.directory.path());
  std::vector<Run> penstock;
  std::vector<Run> thinnest;
  const auto show = [](const char* name, const Run& run) {
    std::fprintf(stderr, "%-10s %9.0f rows/s\n", name, run.rows_per_second);
  };
  for (int round = 0; round < options.rounds; ++round) {
    thinnest.push_back(run_thinnest(stage));
    show("thinnest", thinnest.back());
    if (only_thinnest) continue;
    penstock.push_back(run_penstock(stage));
    show("penstock", penstock.back());
  }
  if (!only_thinnest) report(options, penstock, thinnest);
}
