#include "end_to_end/peers/stage.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <format>
#include <thread>

#include "end_to_end/bare_consumer.h"
#include "end_to_end/bench_support.h"
#include "end_to_end/peers/fill.h"
#include "end_to_end/peers/process_tree.h"
#include "harness/kafka_admin.h"
#include "harness/text_file.h"

namespace penstock::bench {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// Gigabytes, as a fast program writes them in a turn of a minute.
constexpr int kWalMegabytes = 4096;
constexpr int kMessageMegabytes = 64;

// A server that has run for a while renames old files of its write-ahead log. A new server makes
// each of them, and whoever commits at that moment waits for 16 MB to reach the disk.
void make_wal_files(harness::Sql& sql) {
  std::fprintf(stderr, "%-14s %d MB of write-ahead log, so that there are files to use again\n",
               "postgresql", kWalMegabytes);
  for (int written = 0; written < kWalMegabytes; written += kMessageMegabytes) {
    need(sql.value(std::format("SELECT pg_logical_emit_message(false, 'bench', repeat('x', {}))",
                               kMessageMegabytes << 20)));
  }
  need(sql.execute("CHECKPOINT"));
}

}  // namespace

Stage::Stage(const std::filesystem::path& penstock, bool in_memory)
    : directory_(need(harness::TemporaryDirectory::make("penstock-peers"))),
      kafka_(need(harness::LocalKafka::start())),
      // What counts is PostgreSQL's own commit times.
      postgres_(need(
          harness::LocalPostgres::start({.settings = {{"max_wal_size", in_memory ? "4GB" : "8GB"},
                                                      {"track_commit_timestamp", "on"}}}))) {
  database_.port = postgres_->port();
  database_.password = postgres_->password();
  need(postgres_->create_database(database_.name));
  sql_.emplace(need(harness::Sql::connect(conninfo())));
  make_wal_files(*sql_);
  migrate(penstock, conninfo(), brokers(), directory_.path());
}

std::string Stage::make_topic(const std::string& name) {
  need(harness::create_topic(brokers(), name, kPartitions));
  return name;
}

void Stage::remove_topic(const std::string& name) { need(harness::delete_topic(brokers(), name)); }

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  if (what.empty()) return;
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

std::string no_room_for(const Workload& workload, std::int64_t records, const fs::path& directory,
                        std::uintmax_t free_bytes) {
  // The topic is compressed; with the rows and the write-ahead log it is about as much again.
  std::string buffer;
  const auto needed = static_cast<std::uintmax_t>(records) * workload.payload(0, buffer).size();
  if (needed <= free_bytes) return "";
  constexpr double kGigabyte = 1e9;
  return std::format(
      "{} records of {} and their rows need up to {:.0f} GB in {}, and {:.0f} GB are free: make "
      "room, or measure for fewer --seconds, or fewer --records",
      records, workload.name, static_cast<double>(needed) / kGigabyte, directory.string(),
      static_cast<double>(free_bytes) / kGigabyte);
}

void Stage::fill_topic(const Workload& workload, std::int64_t records) {
  if (filled_topic_ == workload.records && filled_ >= records) return;
  if (!filled_topic_.empty()) remove_topic(filled_topic_);
  if (filled_topic_ == workload.records) give_up("the same records are wanted in two amounts");
  const auto free_bytes = fs::space(directory_.path()).available;
  if (const auto why = no_room_for(workload, records, directory_.path(), free_bytes);
      !why.empty()) {
    give_up(why);
  }
  filled_topic_ = make_topic(workload.records);
  filled_ = records;
  const auto started = std::chrono::steady_clock::now();
  need(fill(brokers(), filled_topic_, workload, records));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::fprintf(stderr, "%-14s %lld records lie ready, produced in %.0f s\n", workload.name.c_str(),
               static_cast<long long>(records), took.count());
  const BareConsumer warm_up(brokers(), filled_topic_, kPartitions);
  std::this_thread::sleep_for(5s);
  ::sync();  // or the first turns share the disk with what was just produced
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
  last_job_ = job.name;
  proxy_.reset();
  if (workload.round_trip > 0us) {
    proxy_ = need(DelayProxy::start(postgres_->port(), workload.round_trip));
    job.database.port = proxy_->port();
  }
  return job;
}

void Stage::make_table(const Workload& workload, bool has_key, const std::string& adaptation) {
  need(
      sql_->execute("DROP TABLE IF EXISTS bench; " + create_table(workload, has_key) + adaptation));
  need(sql_->execute("VACUUM ANALYZE bench"));
  need(sql_->execute("CHECKPOINT"));
  pages_at_first_ = need(
      sql_->number("SELECT pg_relation_size('bench') / current_setting('block_size')::bigint"));
}

std::map<std::string, std::string> Stage::configuration(const fs::path& peers_kit) const {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory_.path())) {
    const std::string name = entry.path().filename();
    const std::string ending = name.substr(std::min(name.size(), last_job_.size() + 1));
    if (!name.starts_with(last_job_ + ".") || ending == "log" || ending == "offsets") continue;
    std::string text = harness::read_file(entry.path());
    replace_all(text, database_.password, "***");
    replace_all(text, directory_.path().string(), "DIRECTORY");
    replace_all(text, peers_kit.string(), "KIT");
    files[ending] = std::move(text);
  }
  return files;
}

Result<void> Stage::lives(const Program& program, const Job& job, harness::ChildProcess& process) {
  const auto ended = process.poll();
  if (!ended) return {};
  return fail(ErrorKind::unavailable,
              std::format("{} ended with {}:\n{}", program.name(), ended->to_string(),
                          harness::tail_of_file(job.log(), 20)));
}

void Stage::must_live(const Program& program, const Job& job, harness::ChildProcess& process) {
  need(lives(program, job, process));
}

bool Stage::has_rows() {
  return need(sql_->number(std::format(
             "SELECT count(*) FROM (SELECT 1 FROM bench WHERE ctid >= '({},0)' LIMIT 1) t",
             pages_at_first_))) > 0;
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
