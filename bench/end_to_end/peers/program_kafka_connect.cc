#include <format>

#include "end_to_end/peers/program.h"
#include "harness/free_port.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

// What JSON cannot say: the types, in the form of Connect's JSON converter.
std::string schema(const Workload& workload) {
  std::string fields;
  for (const Column& column : workload.columns) {
    const bool time = column.connect_type == "timestamp";
    if (!fields.empty()) fields += ",";
    fields += std::format(R"({{"field":"{}","type":"{}","optional":false{}}})",
                          column.connect_field, time ? "string" : column.connect_type,
                          time ? R"(,"name":"io.debezium.time.ZonedTimestamp")" : "");
  }
  return std::format(R"({{"type":"struct","name":"bench","optional":false,"fields":[{}]}})",
                     fields);
}

std::string worker(const Job& job, const fs::path& plugins, std::uint16_t port) {
  return std::format(R"(bootstrap.servers={}
listeners=HTTP://127.0.0.1:{}
plugin.path={}
offset.storage.file.filename={}
offset.flush.interval.ms=5000
connector.client.config.override.policy=All
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
value.converter.schema.content={}
)",
                     job.brokers, port, plugins.string(),
                     (job.directory / (job.name + ".offsets")).string(), schema(*job.workload));
}

// README.md says what else was tried.
std::string sink(const Job& job) {
  const Database& database = job.database;
  const std::string mode = job.has_key ? std::format(
                                             "insert.mode=upsert\nprimary.key.mode=record_value\n"
                                             "primary.key.fields={}\nuse.reduction.buffer=true\n",
                                             job.workload->columns.front().connect_field)
                                       : "insert.mode=insert\nprimary.key.mode=none\n";
  return std::format(R"(name={}
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=4
topics={}
connection.url=jdbc:postgresql://127.0.0.1:{}/{}?reWriteBatchedInserts=true
connection.username={}
connection.password={}
collection.name.format=bench
schema.evolution=none
{}batch.size=3000
dialect.postgres.unnest.insert.enabled=true
consumer.override.auto.offset.reset=earliest
consumer.override.max.poll.records=5000
consumer.override.session.timeout.ms=10000
)",
                     job.name, job.topic, database.port, database.name, database.user,
                     database.password, mode);
}

class KafkaConnect : public Program {
 public:
  explicit KafkaConnect(const fs::path& kit) : home_(kit / "kafka-connect") {}

  [[nodiscard]] std::string name() const override { return "kafka-connect"; }
  [[nodiscard]] bool is_peer() const override { return true; }
  // Its compiler works while it runs.
  [[nodiscard]] std::chrono::seconds warm_up() const override { return std::chrono::seconds(10); }

  [[nodiscard]] fs::path missing() const override {
    return first_missing({home_ / "lib", home_ / "plugins", home_ / "log4j2.properties"});
  }

  [[nodiscard]] std::string excuse(const Job& job) const override {
    return job.workload->where_cel.empty() ? "" : "its transformations cannot look into a record";
  }

  // It computes nothing: the column is the field, under its own name.
  [[nodiscard]] std::string adapt_table(const Workload& workload) const override {
    std::string sql;
    for (const Column& column : workload.columns) {
      if (column.name == column.connect_field) continue;
      sql += std::format("; ALTER TABLE bench RENAME {} TO {}", column.name, column.connect_field);
    }
    return sql;
  }

  [[nodiscard]] Result<harness::ChildProcess> start(const Job& job) const override {
    const auto port = harness::free_port();
    if (!port) return std::unexpected(port.error());
    const fs::path worker_file = job.directory / (job.name + ".worker.properties");
    const fs::path sink_file = job.directory / (job.name + ".sink.properties");
    if (auto done =
            harness::write_private_file(worker_file, worker(job, home_ / "plugins", *port))
                .and_then([&] { return harness::write_private_file(sink_file, sink(job)); });
        !done) {
      return std::unexpected(done.error());
    }
    return run(job, {"java", "-Xms256m", "-Xmx2g", "-XX:+UseG1GC",
                     "-Djava.io.tmpdir=" + job.directory.string(),
                     "-Dlog4j2.configurationFile=" + (home_ / "log4j2.properties").string(), "-cp",
                     (home_ / "lib").string() + "/*",
                     "org.apache.kafka.connect.cli.ConnectStandalone", worker_file, sink_file});
  }

 private:
  const fs::path home_;
};

}  // namespace

std::unique_ptr<Program> make_kafka_connect(const std::filesystem::path& kit) {
  return std::make_unique<KafkaConnect>(kit);
}

}  // namespace penstock::bench
