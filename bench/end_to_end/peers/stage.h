// The servers that every program uses in turn: one real broker, one PostgreSQL, and what is in
// them.
//
// Threads: one. Failure: ends the benchmark with a message, as everything here.
// Stop: the destructor ends the servers and removes their files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "end_to_end/peers/delay_proxy.h"
#include "end_to_end/peers/program.h"
#include "end_to_end/peers/workload.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/sql.h"
#include "harness/temporary_directory.h"

namespace penstock::bench {

// CPU seconds so far of a program and of the two servers, at one moment.
struct CpuTimes {
  double program = 0;
  double servers = 0;
  double broker = 0;  // of the servers'
};

// Why so many records do not fit into a directory; empty if they do.
[[nodiscard]] std::string no_room_for(const Workload& workload, std::int64_t records,
                                      const std::filesystem::path& directory,
                                      std::uintmax_t free_bytes);

// Every occurrence; none of nothing.
void replace_all(std::string& text, std::string_view what, std::string_view with);

class Stage {
 public:
  // New servers; PostgreSQL's has files of its write-ahead log, as if it had run for a while. It
  // keeps fewer of them if they are `in_memory`.
  // `penstock` makes its own tables with it.
  explicit Stage(const std::filesystem::path& penstock, bool in_memory = false);

  // A topic with the workload's records, at least so many. It is read for some seconds, so that the
  // broker is not cold for the first program. Topics of other records are removed.
  void fill_topic(const Workload& workload, std::int64_t records);
  [[nodiscard]] std::string make_topic(const std::string& name);
  void remove_topic(const std::string& name);

  // An empty table and what a program needs to know. `records` of the topic are for this job.
  [[nodiscard]] Job make_job(const Program& program, const Workload& workload,
                             const std::string& topic, std::int64_t records);
  // Before each start: a new table, and a checkpoint so that nobody pays for another one's writes.
  // `adaptation` is SQL that goes with it.
  void make_table(const Workload& workload, bool has_key, const std::string& adaptation = "");
  void make_table(const Program& program, const Job& job) {
    make_table(*job.workload, job.has_key, program.adapt_table(*job.workload));
  }
  // The files that the program of the last job was started with, by the ending of their names.
  // What is of this run alone is hidden: the password, the directory, and the peers' kit.
  [[nodiscard]] std::map<std::string, std::string> configuration(
      const std::filesystem::path& peers_kit) const;
  // If the program has ended: how, and its last words.
  [[nodiscard]] static Result<void> lives(const Program& program, const Job& job,
                                          harness::ChildProcess& process);
  // Ends the benchmark if the program has ended.
  static void must_live(const Program& program, const Job& job, harness::ChildProcess& process);

  // True when the table has a row that was not in it at first.
  [[nodiscard]] bool has_rows();
  [[nodiscard]] std::int64_t count(const std::string& what);
  [[nodiscard]] harness::Sql& sql() { return *sql_; }
  [[nodiscard]] CpuTimes cpu_times(pid_t program) const;
  [[nodiscard]] std::string brokers() const { return kafka_->bootstrap_servers(); }
  [[nodiscard]] std::string conninfo() const { return conninfo_of(database_); }

 private:
  harness::TemporaryDirectory directory_;
  std::unique_ptr<harness::LocalKafka> kafka_;
  std::unique_ptr<harness::LocalPostgres> postgres_;
  std::unique_ptr<DelayProxy> proxy_;
  Database database_;
  std::optional<harness::Sql> sql_;
  std::string filled_topic_;
  std::int64_t filled_ = 0;
  int jobs_ = 0;
  std::int64_t pages_at_first_ = 0;  // of the table
  std::string last_job_;
};

}  // namespace penstock::bench
