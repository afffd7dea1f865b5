// What is moved: records that follow from their index, and the table that they become.
//
// A program's configuration is made of the same columns, whatever the program's language, so that
// all of them do the same work. Records are numbered 0, 1, 2, …; a row's `id` is its record's
// index. Threads: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
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

// Records that are written by key into a table with rows in it. Every key comes once, so that each
// record is the one version of its row; those of rows that are there come from all over the table.
struct Upserts {
  std::int64_t rows = 0;  // that are there before, with the keys 0, 1, …; a power of two
  int one_update_in = 1;  // one in so many records has the key of such a row

  // Of a record, by its index.
  [[nodiscard]] std::int64_t key(std::int64_t index) const;
  // The same in SQL, of `i`.
  [[nodiscard]] std::string key_sql() const;
  [[nodiscard]] std::int64_t most_records() const { return rows * one_update_in; }
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
  std::optional<Upserts> upserts = std::nullopt;  // else rows are new

  // The record's bytes, in a buffer that the next one uses again.
  std::string_view (*payload)(std::int64_t index, std::string& buffer) = nullptr;
  std::int32_t (*partition_of)(std::int64_t index) = nullptr;
};

// orders, wide, filter, skew, slow-database, upsert, upsert-all.
[[nodiscard]] const std::vector<Workload>& workloads();
// Orders with the time at which they were sent in the column `sent_us`. Its payloads have ids that
// harness::OrderProducer does not give.
[[nodiscard]] const Workload& timed_orders();

// What a type of PostgreSQL's is to Flink, whose JDBC sink has none for a time with a zone: the
// zone of all times is UTC.
[[nodiscard]] std::string flink_type(const std::string& sql_type);

// CREATE TABLE bench …; without a key, so that a record written twice is there twice. With rows, if
// it is to have some.
[[nodiscard]] std::string create_table(const Workload& workload, bool with_key);
// CREATE TABLE staged …, with what the first records become.
[[nodiscard]] std::string create_staged(const Workload& workload, std::int64_t records);
// Writes all that is staged into the table by key.
[[nodiscard]] std::string merge_staged(const Workload& workload);

}  // namespace penstock::bench
