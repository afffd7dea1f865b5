#include "end_to_end/peers/workload.h"

#include <array>
#include <cstddef>
#include <format>
#include <iterator>

#include "harness/orders.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

std::uint64_t mix(std::uint64_t x) {  // SplitMix64
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

FlinkExpression flink_field(const std::string& name, const std::string& sql_type) {
  const std::string type = flink_type(sql_type);
  const std::string quoted = "`" + name + "`";  // some are words of SQL
  if (sql_type != "timestamptz") return {.sql = quoted, .fields = {{name, type}}};
  return {.sql = std::format("CAST({} AS {})", quoted, type),
          .fields = {{name, "TIMESTAMP_LTZ(6)"}}};
}

// A column that is a field of the record.
Column field(const std::string& name, const std::string& sql_type) {
  const std::string connect_type = sql_type == "bigint"             ? "int64"
                                   : sql_type == "integer"          ? "int32"
                                   : sql_type == "double precision" ? "double"
                                   : sql_type == "boolean"          ? "boolean"
                                   : sql_type == "timestamptz"      ? "timestamp"
                                                                    : "string";
  return {.name = name,
          .sql_type = sql_type,
          .cel = sql_type == "timestamptz" ? std::format("timestamp(msg.{})", name) : "msg." + name,
          .flink = flink_field(name, sql_type),
          .connect_field = name,
          .connect_type = connect_type};
}

Column total() {
  return {.name = "total",
          .sql_type = "double precision",
          .cel = "double(msg.quantity) * msg.unit_price",
          .flink = {.sql = "quantity * unit_price",
                    .fields = {{"quantity", "INT"}, {"unit_price", "DOUBLE"}}},
          .connect_field = "unit_price",
          .connect_type = "double"};
}

// ---- orders -----------------------------------------------------------------------------------

std::string_view order_payload(std::int64_t index, std::string& buffer) {
  static constexpr harness::OrderStream kOnePartition{.partitions = 1, .seed = 1, .bad_one_in = 0};
  thread_local harness::OrderWriter writer;
  const auto sent_us = static_cast<std::int64_t>(1'767'225'600'000'000 + index);
  buffer = writer.payload(harness::order_at(kOnePartition, 0, index), sent_us);
  return buffer;
}

std::int32_t round_robin(std::int64_t index) {
  return static_cast<std::int32_t>(index % kPartitions);
}

// With ids apart from those that a paced producer gives.
std::string_view far_order_payload(std::int64_t index, std::string& buffer) {
  return order_payload(1'000'000'000'000 + index, buffer);
}

// 80 % of the records in the first partition.
std::int32_t skewed(std::int64_t index) {
  if (index % 10 < 8) return 0;
  return static_cast<std::int32_t>(1 + mix(static_cast<std::uint64_t>(index)) % (kPartitions - 1));
}

Workload orders() {
  return {.name = "orders",
          .records = "orders",
          .summary = "JSON of about 190 bytes, 4 columns",
          .columns = {field("id", "bigint"), field("customer", "text"), total(),
                      field("placed_at", "timestamptz")},
          .where_cel = "",
          .where_flink = {},
          .records_per_second = 900'000,
          .has_ceiling = true,
          .payload = order_payload,
          .partition_of = round_robin};
}

// ---- by key -----------------------------------------------------------------------------------

constexpr std::int64_t kKeyStep = 2'654'435'761;  // odd: each key of a power of two comes once
constexpr Upserts kSomeUpdates{.rows = 1 << 20, .one_update_in = 10};
constexpr Upserts kAllUpdates{.rows = 1 << 23, .one_update_in = 1};

template <const Upserts& kUpserts>
std::string_view upsert_payload(std::int64_t index, std::string& buffer) {
  return order_payload(kUpserts.key(index), buffer);
}

template <const Upserts& kUpserts>
Workload upserts(const char* name, const char* summary) {
  Workload workload = orders();
  workload.name = workload.records = name;
  workload.summary = summary;
  workload.has_ceiling = false;
  workload.upserts = kUpserts;
  workload.payload = upsert_payload<kUpserts>;
  return workload;
}

// Rows of orders with these keys, `key` of the number `i`.
std::string rows_sql(const std::string& key, std::int64_t rows, int total) {
  return std::format(
      "SELECT id, 'customer-' || id % 1000000, {}, '2026-03-04' FROM (SELECT {} AS id FROM "
      "generate_series(0::bigint, {}) AS i) AS keys",
      total, key, rows - 1);
}

// ---- wide -------------------------------------------------------------------------------------

constexpr std::string_view kTerms =
    "Goods remain the property of the seller until they are paid for in full. The buyer may return "
    "them within thirty days, unused and in their packaging; the seller bears the cost of the "
    "first "
    "return. Claims for damage in transit are to be made to the carrier within seven days of "
    "delivery, with photographs of the parcel. Prices hold for the day of the order and include "
    "the taxes of the country of delivery. Orders that cannot be shipped within five working days "
    "are cancelled and refunded by the means of payment that was used. Gift cards are sent by "
    "mail on the day of the order; they cannot be returned and do not expire. Questions are "
    "answered "
    "on working days between eight and six.";

std::string_view wide_payload(std::int64_t index, std::string& buffer) {
  static constexpr std::array<std::string_view, 4> kCities = {"Rotterdam", "Gdansk", "Porto",
                                                              "Bergen"};
  const std::uint64_t a = mix(static_cast<std::uint64_t>(index));
  const auto pick = [&](int shift, std::uint64_t below) { return (a >> shift) % below; };
  buffer.clear();
  std::format_to(
      std::back_inserter(buffer),
      R"({{"id":{0},"order_number":"SO-2026-{0:09}","customer":"customer-{1:06}",)"
      R"("email":"customer-{1:06}@mail.example","phone":"+31 10 {2:07}","street":"Keizersgracht {3}",)"
      R"("city":"{4}","zip":"{2:06}","country":"NL","currency":"EUR","quantity":{5},)"
      R"("unit_price":{6}.{3:02},"discount":0.{5:02},"tax":{5}.21,"shipping":4.{3:02},)"
      R"("weight_grams":{2},"express":{7},"gift":{8},"channel":"web-shop-{5}",)"
      R"("campaign":"autumn-{3}-newsletter-returning-customers","device":"tablet",)",
      index, pick(0, 1'000'000), pick(20, 1'000'000), 10 + pick(24, 90),
      kCities[pick(30, kCities.size())], 1 + pick(32, 20), 1 + pick(36, 500),
      pick(41, 2) == 0 ? "true" : "false", pick(42, 8) == 0 ? "true" : "false");
  std::format_to(
      std::back_inserter(buffer),
      R"("browser":"Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",)"
      R"("ip":"10.{0}.{1}.{2}","placed_at":"2026-03-{3:02}T{4:02}:{5:02}:{6:02}.{7:03}Z",)"
      R"("updated_at":"2026-04-{3:02}T{4:02}:{6:02}:{5:02}.{7:03}Z","status":"packed",)"
      R"("warehouse":"WH-{0:03}-north","carrier":"parcel-service-{4}","tracking":"{8:016x}{9:016x}",)"
      R"("terms":"{10}"}})",
      pick(3, 256), pick(7, 256), pick(11, 256), 1 + pick(15, 28), pick(19, 24), pick(23, 60),
      pick(29, 60), pick(35, 1'000), a, mix(a), kTerms);
  return buffer;
}

Workload wide() {
  return {.name = "wide",
          .records = "wide",
          .summary = "JSON of about 1.5 KB with 30 fields, 20 columns",
          .columns = {field("id", "bigint"),
                      field("order_number", "text"),
                      field("customer", "text"),
                      field("email", "text"),
                      field("street", "text"),
                      field("city", "text"),
                      field("zip", "text"),
                      field("country", "text"),
                      field("currency", "text"),
                      field("quantity", "integer"),
                      total(),
                      field("tax", "double precision"),
                      field("shipping", "double precision"),
                      field("weight_grams", "integer"),
                      field("express", "boolean"),
                      field("channel", "text"),
                      field("placed_at", "timestamptz"),
                      field("updated_at", "timestamptz"),
                      field("status", "text"),
                      field("tracking", "text")},
          .where_cel = "",
          .where_flink = {},
          .records_per_second = 250'000,
          .payload = wide_payload,
          .partition_of = round_robin};
}

// ---- filter -----------------------------------------------------------------------------------

constexpr int kKeepOneIn = 50;

// One line in 50 of each partition is an error.
std::string_view log_payload(std::int64_t index, std::string& buffer) {
  const std::uint64_t a = mix(static_cast<std::uint64_t>(index));
  const bool error = index / kPartitions % kKeepOneIn == 0;
  buffer.clear();
  std::format_to(std::back_inserter(buffer),
                 R"({{"id":{},"time":"2026-03-04T{:02}:{:02}:{:02}.{:03}Z","level":"{}",)"
                 R"("service":"checkout-{}","host":"node-{:04}","status":{},"duration_ms":{}.{},)"
                 R"("message":"{} /v1/carts/{:08x}/items from 10.0.{}.{}"}})",
                 index, a % 24, (a >> 8) % 60, (a >> 16) % 60, (a >> 24) % 1'000,
                 error ? "error" : "info", (a >> 34) % 8, (a >> 37) % 2'000, error ? 500 : 200,
                 (a >> 44) % 900, (a >> 54) % 10, error ? "failed" : "served", a >> 32,
                 (a >> 3) % 256, (a >> 11) % 256);
  return buffer;
}

Workload filter() {
  return {.name = "filter",
          .records = "log-lines",
          .summary = "log lines as JSON of about 190 bytes, 2 % of them kept, 5 columns",
          .columns = {field("id", "bigint"), field("time", "timestamptz"), field("service", "text"),
                      field("status", "integer"), field("message", "text")},
          .where_cel = R"(msg.level == "error")",
          .where_flink = {.sql = "level = 'error'", .fields = {{"level", "STRING"}}},
          .keep_one_in = kKeepOneIn,
          .records_per_second = 1'500'000,
          .payload = log_payload,
          .partition_of = round_robin};
}

}  // namespace

std::int64_t Upserts::key(std::int64_t index) const {
  return index % one_update_in == 0 ? index / one_update_in * kKeyStep % rows : rows + index;
}

std::string Upserts::key_sql() const {
  return std::format("CASE WHEN i % {0} = 0 THEN i / {0} * {1} % {2} ELSE {2} + i END",
                     one_update_in, kKeyStep, rows);
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = [] {
    Workload slow = orders();
    slow.name = "slow-database";
    slow.summary = "orders, with 2 ms more for every round trip to PostgreSQL";
    slow.round_trip = 2ms;
    Workload skew = orders();
    skew.name = "skew";
    skew.records = "skewed-orders";
    skew.summary = "orders, 80 % of them in one partition of 8";
    skew.partition_of = skewed;
    return std::vector<Workload>{
        orders(),
        slow,
        wide(),
        filter(),
        skew,
        upserts<kSomeUpdates>("upsert", "orders by key, 10 % of them updates of a million rows"),
        upserts<kAllUpdates>("upsert-all", "orders by key, all of them updates of 8 million rows")};
  }();
  return all;
}

const Workload& timed_orders() {
  static const Workload timed = [] {
    Workload workload = orders();
    workload.columns.push_back(field("sent_us", "bigint"));
    workload.payload = far_order_payload;
    return workload;
  }();
  return timed;
}

std::string flink_type(const std::string& sql_type) {
  return sql_type == "bigint"             ? "BIGINT"
         : sql_type == "integer"          ? "INT"
         : sql_type == "double precision" ? "DOUBLE"
         : sql_type == "boolean"          ? "BOOLEAN"
         : sql_type == "timestamptz"      ? "TIMESTAMP(6)"
                                          : "STRING";
}

std::string create_table(const Workload& workload, bool with_key) {
  std::string columns;
  for (const Column& column : workload.columns) {
    if (!columns.empty()) columns += ", ";
    columns += column.name + " " + column.sql_type;
  }
  const std::string key = " PRIMARY KEY (" + workload.columns.front().name + ")";
  if (with_key && !workload.upserts) columns += "," + key;
  std::string sql = "CREATE TABLE bench (" + columns + ")";
  if (workload.upserts) {
    sql += "; INSERT INTO bench " + rows_sql("i", workload.upserts->rows, 0) +
           "; ALTER TABLE bench ADD" + key;
  }
  return sql;
}

std::string create_staged(const Workload& workload, std::int64_t records) {
  return "DROP TABLE IF EXISTS staged; CREATE UNLOGGED TABLE staged (LIKE bench); INSERT INTO "
         "staged " +
         rows_sql(workload.upserts->key_sql(), records, 1);
}

std::string merge_staged(const Workload& workload) {
  const std::string& key = workload.columns.front().name;
  std::string set;
  for (const Column& column : workload.columns) {
    if (column.name == key) continue;
    set += std::format("{}{} = excluded.{}", set.empty() ? "" : ", ", column.name, column.name);
  }
  return std::format("INSERT INTO bench SELECT * FROM staged ON CONFLICT ({}) DO UPDATE SET {}",
                     key, set);
}

}  // namespace penstock::bench
