#include <format>

#include "end_to_end/peers/program.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

// README.md says what was tried.
constexpr int kParallelism = 2;
constexpr int kRows = 3'000;

// How long rows wait for more: longer when nobody waits for a row, or when a statement for every
// few records would be more than it can do.
int flush_interval_ms(const Job& job) {
  if (job.paced_per_second == 0) return 500;
  return job.paced_per_second > 20'000 ? 20 : 5;
}

std::string declare(const std::map<std::string, std::string>& types) {
  std::string text;
  for (const auto& [name, type] : types) {
    text += std::format("{}  `{}` {}", text.empty() ? "" : ",\n", name, type);
  }
  return text;
}

std::string statements(const Job& job) {
  const Workload& workload = *job.workload;
  std::map<std::string, std::string> fields = workload.where_flink.fields;
  std::string columns;
  std::string values;
  for (const Column& column : workload.columns) {
    fields.insert(column.flink.fields.begin(), column.flink.fields.end());
    columns += std::format("{}  `{}` {}", columns.empty() ? "" : ",\n", column.name,
                           flink_type(column.sql_type));
    values += std::format("{}{}", values.empty() ? "" : ", ", column.flink.sql);
  }
  // With a key it writes INSERT … ON CONFLICT … DO UPDATE.
  if (job.has_key) {
    columns += std::format(",\n  PRIMARY KEY (`{}`) NOT ENFORCED", workload.columns.front().name);
  }
  return std::format(
      R"(SET 'parallelism.default' = '{0}';
SET 'pipeline.object-reuse' = 'true';
SET 'execution.checkpointing.interval' = '5s';
SET 'execution.checkpointing.mode' = 'AT_LEAST_ONCE';
SET 'table.local-time-zone' = 'UTC';
SET 'rest.bind-address' = '127.0.0.1';
SET 'io.tmp.dirs' = '{1}';
CREATE TABLE records (
{2}
) WITH (
  'connector' = 'kafka',
  'topic' = '{3}',
  'properties.bootstrap.servers' = '{4}',
  'properties.group.id' = '{5}',
  'properties.auto.offset.reset' = 'earliest',
  'properties.max.poll.records' = '5000',
  'scan.startup.mode' = 'group-offsets',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);
CREATE TABLE bench (
{6}
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://127.0.0.1:{7}/{8}?reWriteBatchedInserts=true',
  'username' = '{9}',
  'password' = '{10}',
  'table-name' = 'bench',
  'sink.buffer-flush.max-rows' = '{11}',
  'sink.buffer-flush.interval' = '{12}ms'
);
INSERT INTO bench SELECT {13} FROM records{14};
)",
      kParallelism, job.directory.string(), declare(fields), job.topic, job.brokers, job.name,
      columns, job.database.port, job.database.name, job.database.user, job.database.password,
      kRows, flush_interval_ms(job), values,
      workload.where_flink.sql.empty() ? "" : " WHERE " + workload.where_flink.sql);
}

class FlinkSql : public Program {
 public:
  explicit FlinkSql(const fs::path& kit) : home_(kit / "flink-sql") {}

  [[nodiscard]] std::string name() const override { return "flink-sql"; }
  [[nodiscard]] bool is_peer() const override { return true; }
  // Its compiler works while it runs.
  [[nodiscard]] std::chrono::seconds warm_up() const override { return std::chrono::seconds(10); }

  [[nodiscard]] fs::path missing() const override {
    return first_missing({home_ / "lib", home_ / "classes", home_ / "log4j2.properties"});
  }

  [[nodiscard]] Result<harness::ChildProcess> start(const Job& job) const override {
    const fs::path file = job.directory / (job.name + ".sql");
    if (auto done = harness::write_private_file(file, statements(job)); !done) {
      return std::unexpected(done.error());
    }
    // PostgreSQL's driver takes times to be of the process's time zone.
    return run(job, {"java", "-Xms256m", "-Xmx2g", "-XX:+UseG1GC", "-Duser.timezone=UTC",
                     "-Djava.io.tmpdir=" + job.directory.string(),
                     "-Dlog4j2.configurationFile=" + (home_ / "log4j2.properties").string(), "-cp",
                     (home_ / "classes").string() + ":" + (home_ / "lib").string() + "/*", "RunSql",
                     file});
  }

 private:
  const fs::path home_;
};

}  // namespace

std::unique_ptr<Program> make_flink_sql(const std::filesystem::path& kit) {
  return std::make_unique<FlinkSql>(kit);
}

}  // namespace penstock::bench
