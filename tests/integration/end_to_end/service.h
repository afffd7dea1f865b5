// One pipeline from a topic to a table of a test's own choice, as a user would run it.
//
// A member that cannot do its part throws. Threads: the test's own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/stand.h"

namespace penstock::test {

struct DeadLetter {
  std::int64_t offset = 0;
  std::string stage;
  std::string reason;
  std::string sqlstate;  // empty: not PostgreSQL's
  std::string message;
  std::optional<std::string> value;  // the original bytes
};

struct ServiceOptions {
  // Statements that make the table `t`; it needs a column source_offset bigint.
  std::string table = "CREATE TABLE t (n bigint, s text, source_offset bigint)";
  // Columns are matched by name: records bring a field source_offset themselves.
  bool by_name = false;
  // Column → expression; source_offset is added.
  std::map<std::string, std::string> columns = {{"n", "msg.n"}, {"s", "msg.s"}};
  std::string where = {};
  // Added to the pipeline's spec, as lines of YAML indented by four spaces.
  std::string pipeline_yaml = {};
  std::string parse = "{json: {}}";
  std::map<std::string, std::string> topic_settings = {};
  int partitions = 1;
  std::string brokers = shared_brokers();
};

class Service {
 public:
  explicit Service(ServiceOptions options = {});

  // The configuration, for commands other than serve.
  [[nodiscard]] std::string config() const;
  [[nodiscard]] harness::CommandOutput run(const std::vector<std::string>& arguments);
  // `penstock COMMAND… --config FILE` with this configuration.
  [[nodiscard]] harness::CommandOutput run_with_config(std::vector<std::string> command,
                                                       const std::string& text);
  void migrate();
  harness::ServeProcess& serve();
  // Starts `penstock serve` with this configuration and returns when its ports are open.
  harness::ServeProcess& serve_while_waiting(const std::string& text);
  [[nodiscard]] harness::ServeProcess& process() { return *process_; }

  // Produces these to partition 0 and waits until all of them are rows, dead letters or left out.
  void feed(const std::vector<std::optional<std::string>>& values);
  [[nodiscard]] std::int64_t applied();
  // `columns` of the rows in the order of their offsets, as text.
  [[nodiscard]] harness::SqlRows rows(const std::string& columns);
  [[nodiscard]] std::vector<DeadLetter> dead_letters();

  // In place of the cluster's superuser.
  void connect_as(const std::string& conninfo) { conninfo_ = conninfo; }
  [[nodiscard]] TestDatabase& database() { return database_; }
  [[nodiscard]] TestTopic& topic() { return topic_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  const ServiceOptions options_;
  harness::TemporaryDirectory directory_;
  TestDatabase database_;
  TestTopic topic_;
  std::string conninfo_;
  std::int64_t fed_ = 0;
  std::optional<harness::ServeProcess> process_;
};

}  // namespace penstock::test
