#include <format>

#include "end_to_end/peers/program.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

// README.md says what was tried. A statement has a parameter for each value: 3,000 orders.
constexpr std::size_t kValues = 12'000;
constexpr int kInFlight = 4;

// How long a batch waits for more: longer when nobody waits for a row, or when a batch for every
// few records would be more than it can do.
int batch_period_ms(const Job& job) {
  if (job.paced_per_second == 0) return 500;
  return job.paced_per_second > 20'000 ? 20 : 5;
}

std::string configuration(const Job& job) {
  const Workload& workload = *job.workload;
  std::string columns;
  std::string values;
  for (const Column& column : workload.columns) {
    columns += std::format("{}{}", columns.empty() ? "" : ", ", column.name);
    values += std::format("{}{}", values.empty() ? "" : ", ", column.bloblang);
  }
  std::string filter;
  if (!workload.where_bloblang.empty()) {
    filter = std::format(R"(pipeline:
  processors:
    - mapping: 'root = if !({}) {{ deleted() }}'
)",
                         workload.where_bloblang);
  }
  // The limit is of records under way in a partition: those that are dropped count too.
  return std::format(
      R"(http: {{enabled: false}}
logger: {{level: WARN}}
input:
  redpanda:
    seed_brokers: ["{0}"]
    topics: ["{1}"]
    consumer_group: "{2}"
    session_timeout: 10s
    unordered_processing:
      enabled: true
      checkpoint_limit: {3}
      batching: {{count: {4}, period: {5}ms}}
{6}output:
  sql_insert:
    driver: postgres
    dsn: "postgres://{7}:{8}@127.0.0.1:{9}/{10}?sslmode=disable"
    table: bench
    columns: [{11}]
    args_mapping: 'root = [{12}]'
    suffix: '{13}'
    max_in_flight: {14}
    batching: {{count: {4}, period: {5}ms}}
)",
      job.brokers, job.topic, job.name, 20'000 * workload.keep_one_in,
      kValues / workload.columns.size(), batch_period_ms(job), filter, job.database.user,
      job.database.password, job.database.port, job.database.name, columns, values,
      job.has_key ? std::format("ON CONFLICT ({}) DO NOTHING", workload.columns.front().name) : "",
      kInFlight);
}

class RedpandaConnect : public Program {
 public:
  explicit RedpandaConnect(const std::filesystem::path& kit) : program_(kit / "redpanda-connect") {}

  [[nodiscard]] std::string name() const override { return "redpanda-connect"; }
  [[nodiscard]] bool is_peer() const override { return true; }

  [[nodiscard]] std::filesystem::path missing() const override { return first_missing({program_}); }

  [[nodiscard]] Result<harness::ChildProcess> start(const Job& job) const override {
    const std::filesystem::path file = job.directory / (job.name + ".yaml");
    if (auto done = harness::write_private_file(file, configuration(job)); !done) {
      return std::unexpected(done.error());
    }
    return run(job, {program_, "run", file});
  }

 private:
  const std::filesystem::path program_;
};

}  // namespace

std::unique_ptr<Program> make_redpanda_connect(const std::filesystem::path& kit) {
  return std::make_unique<RedpandaConnect>(kit);
}

}  // namespace penstock::bench
