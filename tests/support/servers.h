// The shared Kafka and PostgreSQL of a test run, with a database and topics of one's own.
//
// For integration tests, which run under penstock_test_servers. Constructors throw when something
// is missing (GoogleTest reports it as a failure, with how to fix it). Threads: one at a time.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "harness/sql.h"

namespace penstock::test {

// "host:port" of the shared broker (PENSTOCK_TEST_BROKERS).
[[nodiscard]] std::string shared_brokers();
// A superuser's conninfo of the shared cluster (PENSTOCK_TEST_POSTGRES), or one of its databases.
[[nodiscard]] std::string shared_postgres();
[[nodiscard]] std::string shared_postgres(const std::string& database);

// Lower case, unique on this machine: for databases, topics, groups, roles.
[[nodiscard]] std::string unique_name(std::string_view prefix);

// The repository's migrations, in order: for tests below the level of `penstock migrate`.
[[nodiscard]] std::string migrations_up();

// A database that is dropped (whoever is still connected) at the end.
class TestDatabase {
 public:
  TestDatabase();
  // In another cluster than the shared one.
  explicit TestDatabase(std::string superuser_conninfo);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& conninfo() const { return conninfo_; }
  // On a session of its own that stays open; these throw with PostgreSQL's message.
  void execute(const std::string& statements);
  [[nodiscard]] harness::SqlRows query(const std::string& statement,
                                       const std::vector<std::string>& parameters = {});
  [[nodiscard]] std::string value(const std::string& statement);
  [[nodiscard]] std::int64_t number(const std::string& statement);
  // Creates schema `penstock` with its tables as `penstock migrate up` would.
  void migrate();

 private:
  std::string superuser_;
  std::string name_;
  std::string conninfo_;
  std::optional<harness::Sql> session_;
};

// A topic that is deleted at the end.
class TestTopic {
 public:
  explicit TestTopic(int partitions = 1, const std::map<std::string, std::string>& settings = {},
                     std::string brokers = shared_brokers());
  ~TestTopic();
  TestTopic(const TestTopic&) = delete;
  TestTopic& operator=(const TestTopic&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  // Appends these values, in order, and returns when the broker has them. nullopt: a tombstone.
  void produce(const std::vector<std::optional<std::string>>& values, std::int32_t partition = 0);
  void remove();
  // Under its name; what is there is deleted before.
  void make_again(int partitions = 1);

 private:
  const std::string brokers_;
  std::string name_;
  bool is_there_ = true;
};

// Looks every few milliseconds until `condition` holds; false if it does not within `limit`.
template <std::predicate Condition>
[[nodiscard]] bool wait_until(Condition condition,
                              std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto pause = std::chrono::milliseconds(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(50)) pause *= 2;
  }
  return true;
}

}  // namespace penstock::test
