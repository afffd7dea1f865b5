// ./dev bench many: many pipelines, or one of many partitions, in one process on one database.
//
// What it takes to have them (claims, connections, threads, memory, CPU while nothing comes) and
// how fast they are together. Real Kafka and PostgreSQL; PostgreSQL with its default of 100
// connections.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <format>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/process_tree.h"
#include "harness/child_process.h"
#include "harness/kafka_admin.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/order_producer.h"
#include "harness/serve_process.h"
#include "harness/sql.h"
#include "harness/temporary_directory.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

struct Options {
  int pipelines = 50;
  int partitions = 4;  // of each topic
  int tables = 1;      // of each pipeline, with a topic each
  std::int64_t records = 2'000'000;
  int idle_seconds = 10;
  int linger_ms = 5;
  bool without_key = false;
  bool json = false;
  std::string kafka;  // more properties of the consumers, as YAML
  std::string penstock = sibling("../penstock");
};

// Seconds.
struct Cpu {
  double program = 0;
  double postgres = 0;
  double broker = 0;
};

struct Figures {
  double claimed_s = 0;
  std::int64_t connections = 0;
  std::int64_t threads = 0;
  double rss_mb = 0;
  double idle_cpu = 0;  // of one core
  double rows_per_second = 0;
  Cpu cpu;  // for a million rows, from the first ones to the last
  double records_per_batch = 0;
  double rows_per_transaction = 0;
  double peak_mb = 0;
};

struct Stand {
  const Options& options;
  harness::LocalKafka& kafka;
  harness::LocalPostgres& postgres;
  harness::Sql& sql;
  harness::TemporaryDirectory& directory;
};

// A line such as "Threads:  12" of /proc/PID/status.
std::int64_t status_of(pid_t pid, const std::string& field) {
  std::ifstream status(std::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::atoll(line.c_str() + field.size() + 1);
  }
  give_up("the process is gone");
}

double batches_of(const harness::ServeProcess& serve) {
  std::istringstream page(need(serve.get("/metrics")).body);
  double batches = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("penstock_stage_duration_seconds_count{") &&
        line.contains("stage=\"process\"")) {
      batches += std::atof(line.c_str() + line.rfind(' '));
    }
  }
  return batches;
}

// The numbers of all topics: "0_0", "0_1", … A pipeline's own begin with its number.
std::vector<std::string> numbers(const Options& options) {
  std::vector<std::string> all;
  for (int pipeline = 0; pipeline < options.pipelines; ++pipeline) {
    for (int table = 0; table < options.tables; ++table) {
      all.push_back(std::format("{}_{}", pipeline, table));
    }
  }
  return all;
}

std::string config(const Stand& stand) {
  const bool is_pattern = stand.options.tables > 1;
  std::string text = "pipelines:\n";
  for (int i = 0; i < stand.options.pipelines; ++i) {
    text += std::format(R"(  - name: many-{0}
    source:
      {4}
      group: many-{0}
      kafka: {{bootstrap.servers: "{1}"{3}}}
    compute: {{let: {{total: double(msg.quantity) * msg.unit_price}}}}
    sink:
      postgres: "{2}"
      target:
        table: {5}
        columns: {{id: msg.id, customer: msg.customer, total: total, placed_at: timestamp(msg.placed_at)}}
)",
                        i, stand.kafka.bootstrap_servers(), stand.postgres.conninfo("bench"),
                        stand.options.kafka.empty() ? "" : ", " + stand.options.kafka,
                        is_pattern ? std::format("topics_matching: 'many_(?P<number>{}_.*)'", i)
                                   : std::format("topics: [many_{}_0]", i),
                        is_pattern ? "'many_{number}'" : std::format("many_{}_0", i));
  }
  return text + "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nlog: {format: json}\n";
}

harness::ServeOptions serve_options(const Stand& stand) {
  return {.program = stand.options.penstock,
          .directory = stand.directory.path(),
          .name = "many",
          .config = config(stand),
          .environment = {}};
}

void prepare(const Stand& stand) {
  for (const std::string& number : numbers(stand.options)) {
    need(harness::create_topic(stand.kafka.bootstrap_servers(), "many_" + number,
                               stand.options.partitions));
    need(stand.sql.execute(
        std::format("CREATE TABLE many_{} (id bigint{}, customer text, total double precision, "
                    "placed_at timestamptz)",
                    number, stand.options.without_key ? "" : " PRIMARY KEY")));
  }
  need(stand.sql.execute("CHECKPOINT"));
  // Not the cluster's first group: those of users have had some for years.
  need(harness::wait_for_coordinator(stand.kafka.bootstrap_servers(), "many-0"));
}

// All partitions claimed, nothing to read.
void measure_idle(const Stand& stand, Figures& figures) {
  const int claims = stand.options.pipelines * stand.options.tables * stand.options.partitions;
  const auto begin = std::chrono::steady_clock::now();
  auto serve = need(harness::ServeProcess::spawn(serve_options(stand)));
  while (need(stand.sql.number("SELECT count(*) FROM penstock.offsets WHERE owner <> ''")) <
         claims) {
    if (std::chrono::steady_clock::now() > begin + 300s) give_up("not everything was claimed");
    std::this_thread::sleep_for(50ms);
  }
  figures.claimed_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::this_thread::sleep_for(5s);  // what a start leaves behind settles
  const pid_t pid = serve.process().pid();
  const double cpu = harness::cpu_seconds_of(pid);
  const auto from = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(stand.options.idle_seconds));
  figures.idle_cpu = (harness::cpu_seconds_of(pid) - cpu) /
                     std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
  figures.connections = need(stand.sql.number(
      "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'penstock%'"));
  figures.threads = status_of(pid, "Threads");
  figures.rss_mb = static_cast<double>(status_of(pid, "VmRSS")) / 1024.0;
  serve.stop();
}

std::int64_t produce(const Stand& stand) {
  std::int64_t produced = 0;
  const std::vector<std::string> topics = numbers(stand.options);
  const std::int64_t share = stand.options.records / std::ssize(topics);
  for (const std::string& number : topics) {
    auto producer = need(harness::OrderProducer::start(
        {.bootstrap_servers = stand.kafka.bootstrap_servers(),
         .topic = "many_" + number,
         .stream = {.partitions = stand.options.partitions, .seed = 1, .bad_one_in = 0},
         .records = share,
         .rate = 0,
         .compression = "lz4",
         .linger_ms = stand.options.linger_ms}));
    need(producer->wait());
    produced += share;
  }
  return produced;
}

// Once through everything, which nobody measures: a broker that has just started compiles its code
// in the same seconds, for many partitions more of it.
void warm_up(const Stand& stand) {
  const std::int64_t records = produce(stand);
  auto serve = need(harness::ServeProcess::spawn(serve_options(stand)));
  const auto deadline = std::chrono::steady_clock::now() + 600s;
  while (need(stand.sql.number("SELECT sum(next_offset)::bigint FROM penstock.offsets")) <
         records) {
    if (std::chrono::steady_clock::now() > deadline) give_up("the records did not arrive");
    std::this_thread::sleep_for(100ms);
  }
  serve.stop();
  for (const std::string& number : numbers(stand.options)) {
    need(stand.sql.execute("TRUNCATE many_" + number));
  }
  need(stand.sql.execute("CHECKPOINT"));
  need(stand.sql.execute("SELECT pg_stat_reset()"));
}

// From the first commit to the last, over all tables.
void measure_throughput(const Stand& stand, Figures& figures) {
  const std::int64_t records = produce(stand);
  auto serve = need(harness::ServeProcess::spawn(serve_options(stand)));
  std::string commits;
  std::string counts;
  for (const std::string& number : numbers(stand.options)) {
    commits += std::format("{}SELECT count(*) AS n, xmin FROM many_{} GROUP BY xmin",
                           commits.empty() ? "" : " UNION ALL ", number);
    counts += std::format("{}(SELECT count(*) FROM many_{})", counts.empty() ? "" : " + ", number);
  }
  const auto deadline = std::chrono::steady_clock::now() + 600s;
  const auto cpu = [&] {
    return Cpu{.program = serve.cpu_seconds(),
               .postgres = cpu_seconds_of_tree(stand.postgres.pid()),
               .broker = cpu_seconds_of_tree(stand.kafka.pid())};
  };
  std::optional<std::int64_t> first;  // rows, when the CPU was looked at for the first time
  Cpu before;
  while (true) {
    const std::int64_t inserted =
        need(stand.sql.number("SELECT coalesce(sum(n_tup_ins), 0)::bigint FROM "
                              "pg_stat_user_tables WHERE relname LIKE 'many\\_%'"));
    if (!first && inserted > 0) {
      before = cpu();
      first = need(stand.sql.number("SELECT " + counts));
    }
    if (inserted >= records && need(stand.sql.number("SELECT " + counts)) >= records) break;
    if (std::chrono::steady_clock::now() > deadline) give_up("the records did not arrive");
    std::this_thread::sleep_for(100ms);
  }
  const Cpu after = cpu();
  const double millions = static_cast<double>(records - *first) / 1e6;
  figures.cpu = {.program = (after.program - before.program) / millions,
                 .postgres = (after.postgres - before.postgres) / millions,
                 .broker = (after.broker - before.broker) / millions};
  figures.peak_mb = static_cast<double>(serve.peak_resident_kb()) / 1024;
  need(serve.wait_until_listening(10s));
  figures.records_per_batch = static_cast<double>(records) / batches_of(serve);
  const auto rows = need(stand.sql.query(std::format(
      "SELECT sum(n), (array_agg(n ORDER BY at))[1], extract(epoch FROM max(at) - min(at)), "
      "count(*) FROM "
      "(SELECT n, pg_xact_commit_timestamp(xmin) AS at FROM ({}) AS c) AS t",
      commits)));
  const auto number = [&](std::size_t column) { return std::atof(rows[0][column]->c_str()); };
  if (number(0) != static_cast<double>(records)) give_up("the rows are not the records");
  figures.rows_per_second = (number(0) - number(1)) / number(2);
  figures.rows_per_transaction = number(0) / number(3);
  serve.stop();
}

int run(const Options& options) {
  const auto kafka = need(harness::LocalKafka::start({.kit = {}, .settings = {}}));
  const auto postgres = need(harness::LocalPostgres::start({.settings = {
                                                                {"max_connections", "100"},
                                                                {"max_wal_size", "8GB"},
                                                                {"track_commit_timestamp", "on"},
                                                            }}));
  need(postgres->create_database("bench"));
  auto sql = need(harness::Sql::connect(postgres->conninfo("bench")));
  auto directory = need(harness::TemporaryDirectory::make("penstock-many"));
  migrate(options.penstock, postgres->conninfo("bench"), kafka->bootstrap_servers(),
          directory.path());
  const Stand stand{options, *kafka, *postgres, sql, directory};
  prepare(stand);
  Figures figures;
  measure_idle(stand, figures);
  warm_up(stand);
  measure_throughput(stand, figures);
  std::printf(
      "%s",
      std::format("{} pipelines of {} tables of {} partitions in one process, on one database, {} "
                  "CPUs for everything\n"
                  "  all claimed after      {:8.1f} s\n  connections            {:8}\n"
                  "  threads                {:8}\n  resident, idle         {:8.0f} MB\n"
                  "  CPU, idle              {:8.1f} % of a core\n"
                  "  rows/s, {} records {:9.0f}\n"
                  "  CPU s per million rows {:8.2f} Penstock, {:.2f} PostgreSQL, {:.2f} broker\n"
                  "  resident, at most      {:8.0f} MB\n  records per batch      {:8.0f}\n"
                  "  rows per transaction   {:8.0f}\n",
                  options.pipelines, options.tables, options.partitions,
                  std::thread::hardware_concurrency(), figures.claimed_s, figures.connections,
                  figures.threads, figures.rss_mb, figures.idle_cpu * 100, options.records,
                  figures.rows_per_second, figures.cpu.program, figures.cpu.postgres,
                  figures.cpu.broker, figures.peak_mb, figures.records_per_batch,
                  figures.rows_per_transaction)
          .c_str());
  if (options.json) {
    std::printf(
        "%s\n",
        std::format(R"({{"pipelines":{},"partitions":{},"claimed_s":{:.2f},"connections":{},)"
                    R"("threads":{},"rss_mb":{:.0f},"idle_cpu":{:.4f},"rows_per_second":{:.0f}}})",
                    options.pipelines, options.partitions, figures.claimed_s, figures.connections,
                    figures.threads, figures.rss_mb, figures.idle_cpu, figures.rows_per_second)
            .c_str());
  }
  return 0;
}

}  // namespace
}  // namespace penstock::bench

int main(int argc, char** argv) {
  penstock::bench::Options options;
  CLI::App app("Many pipelines, or one of many partitions, in one process on one database");
  app.add_option("--pipelines", options.pipelines)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--partitions", options.partitions, "of each topic")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tables", options.tables, "of each pipeline, with a topic each, by a pattern")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--records", options.records, "in sum, for the throughput")->capture_default_str();
  app.add_option("--idle-seconds", options.idle_seconds, "for how long idleness is watched")
      ->capture_default_str();
  app.add_option("--linger-ms", options.linger_ms,
                 "how long the producer gathers a batch of a partition")
      ->capture_default_str();
  app.add_flag("--without-key", options.without_key,
               "tables without a primary key: what its index costs where ids come from everywhere");
  app.add_option("--kafka", options.kafka, "properties of the consumers: 'name: value, …'");
  app.add_option("--penstock", options.penstock, "the program")->capture_default_str();
  app.add_flag("--json", options.json, "the last line is one JSON object");
  CLI11_PARSE(app, argc, argv);
  return penstock::bench::run(options);
}
