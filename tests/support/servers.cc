#include "support/servers.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "harness/kafka_admin.h"
#include "harness/text_file.h"

namespace penstock::test {
namespace {

std::string need(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(std::string(variable) +
                             " is not set: run it as ./dev test integration, or under "
                             "penstock_test_servers -- COMMAND");
  }
  return value;
}

template <typename T>
T unwrap(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// In a conninfo string the last mention of a key counts.
std::string with_database(const std::string& conninfo, const std::string& database) {
  return conninfo + " dbname=" + database;
}

}  // namespace

std::string shared_brokers() { return need("PENSTOCK_TEST_BROKERS"); }
std::string shared_postgres() { return need("PENSTOCK_TEST_POSTGRES"); }
std::string shared_postgres(const std::string& database) {
  return with_database(shared_postgres(), database);
}

std::string unique_name(std::string_view prefix) {
  static const unsigned salt = std::random_device{}();
  static std::atomic<int> next{0};
  return std::string(prefix) + "_" + std::to_string(::getpid()) + "_" +
         std::to_string(salt % 100'000) + "_" + std::to_string(next++);
}

std::string migrations_up() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_MIGRATIONS_DIRECTORY)) {
    if (entry.path().string().ends_with(".up.sql")) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::string all = "CREATE SCHEMA IF NOT EXISTS penstock;\n";
  for (const auto& file : files) all += harness::read_file(file) + "\n";
  return all;
}

TestDatabase::TestDatabase() : TestDatabase(shared_postgres()) {}

TestDatabase::TestDatabase(std::string superuser_conninfo)
    : superuser_(std::move(superuser_conninfo)),
      name_(unique_name("test")),
      conninfo_(with_database(superuser_, name_)) {
  harness::Sql admin = unwrap(harness::Sql::connect(superuser_));
  unwrap(admin.execute("CREATE DATABASE " + name_));
}

TestDatabase::~TestDatabase() {
  session_.reset();
  if (auto admin = harness::Sql::connect(superuser_)) {
    // If it fails the server is gone, and the database with it.
    static_cast<void>(admin->execute("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)"));
  }
}

void TestDatabase::execute(const std::string& statements) {
  if (!session_) session_ = unwrap(harness::Sql::connect(conninfo_));
  unwrap(session_->execute(statements));
}

harness::SqlRows TestDatabase::query(const std::string& statement,
                                     const std::vector<std::string>& parameters) {
  if (!session_) session_ = unwrap(harness::Sql::connect(conninfo_));
  return unwrap(session_->query(statement, parameters));
}

std::string TestDatabase::value(const std::string& statement) {
  if (!session_) session_ = unwrap(harness::Sql::connect(conninfo_));
  return unwrap(session_->value(statement));
}

std::int64_t TestDatabase::number(const std::string& statement) {
  if (!session_) session_ = unwrap(harness::Sql::connect(conninfo_));
  return unwrap(session_->number(statement));
}

void TestDatabase::migrate() { execute(migrations_up()); }

TestTopic::TestTopic(int partitions, const std::map<std::string, std::string>& settings,
                     std::string brokers)
    : brokers_(std::move(brokers)), name_(unique_name("topic")) {
  unwrap(harness::create_topic(brokers_, name_, partitions, settings));
}

TestTopic::~TestTopic() { static_cast<void>(harness::delete_topic(brokers_, name_)); }

void TestTopic::remove() {
  unwrap(harness::delete_topic(brokers_, name_));
  is_there_ = false;
}
void TestTopic::make_again(int partitions) {
  if (is_there_) remove();
  // The name is free when the broker has let go of it.
  Result<void> made;
  if (!wait_until([&] {
        made = harness::create_topic(brokers_, name_, partitions);
        return made.has_value();
      })) {
    unwrap(made);
  }
  is_there_ = true;
}

void TestTopic::produce(const std::vector<std::optional<std::string>>& values,
                        std::int32_t partition) {
  std::vector<harness::KafkaRecord> records;
  records.reserve(values.size());
  for (const auto& value : values) {
    records.push_back({.partition = partition,
                       .key = nullptr,
                       .key_size = 0,
                       .value = value ? value->data() : nullptr,
                       .value_size = value ? value->size() : 0});
  }
  unwrap(harness::produce_all(brokers_, name_, records));
}

}  // namespace penstock::test
