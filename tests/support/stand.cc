#include "support/stand.h"

#include <cstdlib>
#include <format>
#include <fstream>
#include <future>
#include <limits>
#include <stdexcept>

#include "harness/kafka_admin.h"
#include "harness/text_file.h"

namespace penstock::test {

using namespace std::chrono_literals;

std::filesystem::path penstock_program() {
  const char* other = std::getenv("PENSTOCK_PROGRAM");
  return other != nullptr && *other != '\0' ? other : PENSTOCK_PROGRAM;
}

Stand::Stand(StandOptions options)
    : options_(std::move(options)),
      directory_(must(harness::TemporaryDirectory::make("penstock-stand"))),
      topic_(unique_name("orders")) {
  stream_.partitions = options_.partitions;
  stream_.bad_one_in = options_.bad_one_in;
  harness::LocalPostgresOptions server{.settings = {{"track_commit_timestamp", "on"}}};
  if (options_.slow_disk) {
    // Where the server's user can read it, too.
    const auto library = directory_.path() / "slow_sync.so";
    std::filesystem::copy_file(PENSTOCK_SLOW_SYNC, library);
    server.environment = {{"LD_PRELOAD", library}, {"PENSTOCK_SYNC_DELAY", sync_delay_file()}};
  }
  auto starting_postgres =
      std::async(std::launch::async, [&server] { return harness::LocalPostgres::start(server); });
  if (options_.own_kafka) {
    kafka_ = must(harness::LocalKafka::start(
        {.kit = {},
         .quick_start = true,
         .heap = "512m",
         .settings = {{"group.min.session.timeout.ms", "1000"},
                      {"group.consumer.min.session.timeout.ms", "1000"},
                      {"group.consumer.session.timeout.ms", "3000"},
                      {"group.consumer.min.heartbeat.interval.ms", "300"},
                      {"group.consumer.heartbeat.interval.ms", "300"}}}));
    brokers_ = kafka_->bootstrap_servers();
  } else {
    brokers_ = shared_brokers();
  }
  postgres_ = must(starting_postgres.get());
  must(postgres_->create_database("faults"));
  execute(harness::orders_schema(options_.with_totals));
  must(harness::create_topic(brokers_, topic_, options_.partitions));

  const auto file = directory_.path() / "migrate.yaml";
  must(harness::write_private_file(file, config({})));
  const auto migrated = must(harness::run_command(
      {penstock_program(), "migrate", "up", "--config", file}, directory_.path()));
  if (!migrated.status.success()) throw std::runtime_error("migrate up: " + migrated.text);
}

Stand::~Stand() {
  producer_.reset();
  if (!options_.own_kafka) static_cast<void>(harness::delete_topic(brokers_, topic_));
}

std::string Stand::config(const Instance& instance) const {
  std::string text = std::format(
      "pipelines:\n"
      "  - name: {}\n"
      "    source:\n"
      "      topics: [{}]\n"
      "      group: {}\n"
      "      kafka:\n"
      "        bootstrap.servers: \"{}\"\n"
      "        reconnect.backoff.max.ms: \"500\"\n",
      kPipeline, topic_, topic_, brokers_);
  text += options_.consumer_protocol || instance.consumer_protocol
              ? "        group.protocol: consumer\n"
              : "        session.timeout.ms: \"1500\"\n"
                "        heartbeat.interval.ms: \"300\"\n";
  if (!instance.group_instance_id.empty()) {
    text += "        group.instance.id: " + instance.group_instance_id + "\n";
  }
  text += "    parse: {json: {}}\n    compute:\n" + harness::orders_compute_yaml(6);
  text += std::format(
      "    sink:\n      postgres: \"{}\"\n      target:\n        table: orders\n        columns:\n",
      instance.conninfo.empty() ? conninfo() : instance.conninfo);
  text += harness::orders_columns_yaml(10) + options_.pipeline_yaml;
  text += "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nlog: {format: json}\n";
  return text;
}

harness::ServeProcess Stand::serve(const std::string& name, const Instance& instance) {
  return must(harness::ServeProcess::start({.program = penstock_program(),
                                            .directory = directory_.path(),
                                            .name = name,
                                            .config = config(instance),
                                            .environment = {}}));
}

harness::ServeProcess Stand::spawn(const std::string& name) {
  auto serve = must(harness::ServeProcess::spawn({.program = penstock_program(),
                                                  .directory = directory_.path(),
                                                  .name = name,
                                                  .config = config({}),
                                                  .environment = {}}));
  must(serve.wait_until_listening(30s));
  return serve;
}

Result<harness::CommandOutput> Stand::run(std::vector<std::string> command) {
  command.insert(command.begin(), penstock_program());
  return harness::run_command(command, directory_.path());
}

void Stand::produce(std::int64_t records, std::int64_t rate_per_second) {
  producer_ = must(harness::OrderProducer::start({.bootstrap_servers = brokers_,
                                                  .topic = topic_,
                                                  .stream = stream_,
                                                  .records = records,
                                                  .rate = rate_per_second}));
}

void Stand::produce_on(std::int64_t rate_per_second) {
  produce(std::numeric_limits<std::int64_t>::max(), rate_per_second);
  produces_on_ = true;
}

std::int64_t Stand::sent() const { return producer_->sent(); }
bool Stand::producer_finished() const { return producer_->finished(); }

std::int64_t Stand::applied() {
  // Not there, or not yet: PostgreSQL may just be away.
  return harness::records_applied(conninfo(), kPipeline).value_or(0);
}

bool Stand::wait_until_applied(std::int64_t records, std::chrono::milliseconds limit) {
  return wait_until([&] { return applied() >= records; }, limit);
}

harness::Verdict Stand::conclude(std::chrono::milliseconds limit) {
  if (produces_on_) producer_->stop();
  must(producer_->wait());
  // Whatever does not arrive in time is counted as lost below.
  static_cast<void>(wait_until_applied(producer_->sent(), limit));
  return must(harness::verify({.conninfo = conninfo(),
                               .pipeline = kPipeline,
                               .stream = stream_,
                               .truth = producer_->truth()}));
}

harness::SqlRows Stand::query(const std::string& statement) {
  auto sql = must(harness::Sql::connect(conninfo()));
  return must(sql.query(statement));
}

std::int64_t Stand::number(const std::string& statement) {
  auto sql = must(harness::Sql::connect(conninfo()));
  return must(sql.number(statement));
}

void Stand::execute(const std::string& statements) {
  auto sql = must(harness::Sql::connect(conninfo()));
  must(sql.execute(statements));
}

int Stand::terminate_backends() {
  return static_cast<int>(
      number("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) AS gone FROM "
             "pg_stat_activity WHERE application_name LIKE 'penstock%' AND datname = "
             "current_database()) t WHERE gone"));
}

void Stand::mutate_fence(const std::string& condition) {
  const auto rows = query("SELECT pg_get_functiondef('penstock.advance'::regproc)");
  std::string definition = rows.at(0).at(0).value();
  const std::size_t at = definition.find(condition);
  if (at == std::string::npos) throw std::runtime_error("the fence has no " + condition);
  definition.erase(at, condition.size());
  execute(definition);
}

void Stand::delay_syncs(std::chrono::milliseconds delay) {
  std::ofstream(sync_delay_file()) << delay.count() << std::flush;
}

std::filesystem::path Stand::sync_delay_file() const { return directory_.path() / "sync_delay"; }

}  // namespace penstock::test
