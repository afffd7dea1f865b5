#include <format>

#include "end_to_end/peers/program.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

// As it comes: the configuration says what to move, and nothing about how. Only scaling says with
// how many threads.
std::string configuration(const Job& job, PenstockThreads threads) {
  std::string columns;
  for (const Column& column : job.workload->columns) {
    columns += std::format("          {}: '{}'\n", column.name, column.cel);
  }
  const std::string& where = job.workload->where_cel;
  const std::string fixed = threads.lanes == 0
                                ? ""
                                : std::format(", lanes: {0}, min_workers: {1}, max_workers: {1}",
                                              threads.lanes, threads.workers);
  return std::format(R"(pipelines:
  - name: {0}
    source:
      topics: [{1}]
      group: {0}
      kafka: {{bootstrap.servers: "{2}"}}
    parse: {{json: {{}}}}
{3}    sink:
      postgres: "{4}"
      target:
        table: bench
{7}        columns:
{5}server: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0"{6}}}
log: {{format: json}}
)",
                     job.name, job.topic, job.brokers,
                     where.empty() ? "" : std::format("    compute: {{where: '{}'}}\n", where),
                     conninfo_of(job.database), columns, fixed,
                     job.workload->upserts ? "        mode: upsert\n" : "");
}

class Penstock : public Program {
 public:
  Penstock(std::filesystem::path program, PenstockThreads threads)
      : program_(std::move(program)), threads_(threads) {}

  [[nodiscard]] std::string name() const override { return std::string(kPenstock); }

  [[nodiscard]] std::filesystem::path missing() const override { return first_missing({program_}); }

  [[nodiscard]] Result<harness::ChildProcess> start(const Job& job) const override {
    const std::filesystem::path file = job.directory / (job.name + ".yaml");
    if (auto done = harness::write_private_file(file, configuration(job, threads_)); !done) {
      return std::unexpected(done.error());
    }
    return run(job, {program_, "serve", "--config", file});
  }

 private:
  const std::filesystem::path program_;
  const PenstockThreads threads_;
};

}  // namespace

std::unique_ptr<Program> make_penstock(const std::filesystem::path& program,
                                       PenstockThreads threads) {
  return std::make_unique<Penstock>(program, threads);
}

std::string conninfo_of(const Database& database) {
  return std::format("host=127.0.0.1 port={} user={} password={} dbname={}", database.port,
                     database.user, database.password, database.name);
}

}  // namespace penstock::bench
