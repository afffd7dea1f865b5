#include "end_to_end/peers/stage.h"

#include <chrono>
#include <cstdio>
#include <format>
#include <thread>

#include "demo/kafka_admin.h"
#include "demo/text_file.h"
#include "end_to_end/bare_consumer.h"
#include "end_to_end/bench_support.h"
#include "end_to_end/peers/fill.h"
#include "end_to_end/peers/process_tree.h"

namespace penstock::bench {

using namespace std::chrono_literals;

Stage::Stage(const std::filesystem::path& penstock)
    : directory_(need(demo::TemporaryDirectory::make("penstock-peers"))),
      kafka_(need(demo::LocalKafka::start())),
      // What counts is PostgreSQL's own commit times.
      postgres_(need(demo::LocalPostgres::start(
          {.settings = {{"max_wal_size", "8GB"}, {"track_commit_timestamp", "on"}}}))) {
  database_.port = postgres_->port();
  database_.password = postgres_->password();
  need(postgres_->create_database(database_.name));
  sql_.emplace(need(demo::Sql::connect(conninfo())));
  migrate(penstock, conninfo(), brokers(), directory_.path());
}

std::string Stage::make_topic(const std::string& name) {
  need(demo::create_topic(brokers(), name, kPartitions));
  return name;
}

void Stage::remove_topic(const std::string& name) { need(demo::delete_topic(brokers(), name)); }

void Stage::fill_topic(const Workload& workload, std::int64_t records) {
  if (filled_topic_ == workload.records && filled_ >= records) return;
  if (!filled_topic_.empty()) remove_topic(filled_topic_);
  if (filled_topic_ == workload.records) give_up("the same records are wanted in two amounts");
  filled_topic_ = make_topic(workload.records);
  filled_ = records;
  std::fprintf(stderr, "%s: producing %lld records\n", workload.name.c_str(),
               static_cast<long long>(records));
  need(fill(brokers(), filled_topic_, workload, records));
  const BareConsumer warm_up(brokers(), filled_topic_, kPartitions);
  std::this_thread::sleep_for(5s);
}

Job Stage::make_job(const Program& program, const Workload& workload, const std::string& topic,
                    std::int64_t records) {
  Job job;
  job.workload = &workload;
  job.brokers = brokers();
  job.topic = topic;
  job.records = records;
  job.database = database_;
  job.name = std::format("{}-{}", program.name(), ++jobs_);
  job.directory = directory_.path();
  proxy_.reset();
  if (workload.round_trip > 0us) {
    proxy_ = need(DelayProxy::start(postgres_->port(), workload.round_trip));
    job.database.port = proxy_->port();
  }
  return job;
}

void Stage::make_table(const Program& program, const Job& job) {
  need(sql_->execute("DROP TABLE IF EXISTS bench; " + create_table(*job.workload, job.has_key) +
                     program.adapt_table(*job.workload) + "; CHECKPOINT"));
}

void Stage::must_live(const Program& program, const Job& job, demo::ChildProcess& process) {
  if (const auto ended = process.poll()) {
    give_up(std::format("{} ended with {}:\n{}", program.name(), ended->to_string(),
                        demo::tail_of_file(job.log(), 20)));
  }
}

bool Stage::has_rows() {
  return need(sql_->number("SELECT count(*) FROM (SELECT 1 FROM bench LIMIT 1) t")) > 0;
}

std::int64_t Stage::count(const std::string& what) {
  return need(sql_->number("SELECT " + what + " FROM bench"));
}

CpuTimes Stage::cpu_times(pid_t program) const {
  const double broker = cpu_seconds_of_tree(kafka_->pid());
  return {.program = cpu_seconds_of_tree(program),
          .servers = cpu_seconds_of_tree(postgres_->pid()) + broker,
          .broker = broker};
}

}  // namespace penstock::bench
