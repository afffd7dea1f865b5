// What is moved: records that follow from their index, and the table that they become.
//
// A program's configuration is made of the same columns, whatever the program's language, so that
// all of them do the same work. Records are numbered 0, 1, 2, …; a row's `id` is its record's
// index. Threads: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

inline constexpr int kPartitions = 8;

// Flink's SQL, and the fields of the record that are in it with their types, which Flink wants to
// be told.
struct FlinkExpression {
  std::string sql;
  std::map<std::string, std::string> fields;
};

struct Column {
  std::string name;
  std::string sql_type;
  std::string cel;  // Penstock's expression
  FlinkExpression flink;
  // Kafka Connect has no expressions: the record's field that is the column, and its type.
  std::string connect_field;
  std::string connect_type;
};

struct Workload {
  std::string name;
  std::string records;  // workloads with the same records share a topic
  std::string summary;
  std::vector<Column> columns;  // the first is the key
  // Which records become rows; empty: all. One record in `keep_one_in` does.
  std::string where_cel;
  FlinkExpression where_flink;
  int keep_one_in = 1;
  // So many records lie ready for every second of a run: more than a program moves.
  std::int64_t records_per_second = 0;
  // Added to every request to PostgreSQL and its answer.
  std::chrono::microseconds round_trip{0};
  // Whether the ceiling program, which knows nothing but orders, can do it.
  bool has_ceiling = false;

  // The record's bytes, in a buffer that the next one uses again.
  std::string_view (*payload)(std::int64_t index, std::string& buffer) = nullptr;
  std::int32_t (*partition_of)(std::int64_t index) = nullptr;
};

// orders, wide, filter, skew, slow-database.
[[nodiscard]] const std::vector<Workload>& workloads();
// Orders with the time at which they were sent in the column `sent_us`. Its payloads have ids that
// harness::OrderProducer does not give.
[[nodiscard]] const Workload& timed_orders();

// What a type of PostgreSQL's is to Flink, whose JDBC sink has none for a time with a zone: the
// zone of all times is UTC.
[[nodiscard]] std::string flink_type(const std::string& sql_type);

// CREATE TABLE bench …; without a key, so that a record written twice is there twice.
[[nodiscard]] std::string create_table(const Workload& workload, bool with_key);

}  // namespace penstock::bench
