#include "dead_letters/copy_queue.h"

#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

#include "dead_letters/store.h"
#include "postgres/pool.h"
#include "text/json_string.h"
#include "text/utf8.h"

namespace penstock::dead_letters {
namespace {

using postgres::Connection;
using postgres::Reply;
using postgres::Try;

constexpr std::chrono::seconds kPatience(30);
// Few, because they are in memory several times while they are copied, beside the pipeline's own.
constexpr int kLettersAtOnce = 500;
constexpr int kBytesAtOnce = 1 << 20;

using Parameters = std::vector<std::optional<std::string>>;

Result<Reply> ask(postgres::Pool& pool, const std::stop_token& stop, const std::string& sql,
                  const Parameters& parameters) {
  return pool
      .with_connection(stop, kPatience,
                       [&](Connection& connection) -> Try<Reply> {
                         return connection.execute(sql, std::span(parameters));
                       })
      .transform_error([](const postgres::Failure& failure) { return error_of(failure); });
}

std::string json_of(std::span<const SourcePartition> partitions) {
  std::string json = "[";
  for (const SourcePartition& one : partitions) {
    if (json.size() > 1) json += ",";
    json += "{\"topic\":";
    text::append_json_string(json, text::repaired_utf8(one.topic));
    json += ",\"partition\":" + std::to_string(one.partition) + "}";
  }
  return json + "]";
}

// Of penstock.dead_letters AS d; $1 is the pipeline, $2 the partitions.
constexpr const char* kWaits =
    "d.pipeline = $1 AND d.copied_at IS NULL AND (d.topic, d.partition) IN (SELECT h.topic, "
    "h.partition FROM jsonb_to_recordset($2::jsonb) AS h(topic text, partition integer))";

}  // namespace

Result<std::int64_t> CopyQueue::count(std::span<const SourcePartition> partitions) {
  const auto rows =
      ask(pool_, stop_,
          std::string("SELECT count(*) FROM (SELECT 1 FROM penstock.dead_letters d WHERE ") +
              kWaits + " LIMIT " + std::to_string(kMostCounted) + ") c",
          {pipeline_, json_of(partitions)});
  if (!rows) return std::unexpected(rows.error());
  return std::atoll(rows->string(0, 0).c_str());
}

Result<std::vector<Letter>> CopyQueue::page(std::span<const SourcePartition> partitions,
                                            std::int64_t after) {
  const auto rows = ask(
      pool_, stop_,
      "SELECT " + columns_of_letter(Contents::whole) +
          " FROM penstock.dead_letters d WHERE d.id IN (SELECT p.id FROM (SELECT s.id, "
          "sum(s.bytes) OVER (ORDER BY s.id) - s.bytes AS ahead FROM (SELECT d.id, "
          "coalesce(octet_length(d.value), 0) + coalesce(octet_length(d.key), 0) AS bytes FROM "
          "penstock.dead_letters d WHERE " +
          kWaits + " AND d.id > $3::bigint ORDER BY d.id LIMIT " + std::to_string(kLettersAtOnce) +
          ") s) p WHERE p.ahead < " + std::to_string(kBytesAtOnce) + ") ORDER BY d.id",
      {pipeline_, json_of(partitions), std::to_string(after)});
  if (!rows) return std::unexpected(rows.error());
  std::vector<Letter> letters;
  for (int row = 0; row < rows->rows(); ++row) {
    letters.push_back(read_letter(*rows, row, Contents::whole));
  }
  return letters;
}

Result<void> CopyQueue::confirm(std::span<const std::int64_t> ids) {
  std::string list = "{";
  for (const std::int64_t id : ids) list += (list.size() > 1 ? "," : "") + std::to_string(id);
  const auto done =
      ask(pool_, stop_,
          // In one order, whoever else has some of them in hand.
          "WITH held AS MATERIALIZED (SELECT d.id FROM penstock.dead_letters d WHERE d.id = ANY "
          "($1::bigint[]) AND d.pipeline = $2 AND d.copied_at IS NULL ORDER BY d.id FOR UPDATE), "
          "done AS (UPDATE penstock.dead_letters d SET copied_at = now() FROM held "
          "WHERE d.id = held.id RETURNING d.id) "
          "SELECT (SELECT count(*) FROM held) = (SELECT count(*) FROM done)",
          {list + "}", pipeline_});
  if (!done) return std::unexpected(done.error());
  // Else they would be copied again and again.
  if (!done->is_true(0, 0)) return std::unexpected(letters_stay(pool_));
  return {};
}

}  // namespace penstock::dead_letters
