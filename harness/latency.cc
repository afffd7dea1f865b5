#include "harness/latency.h"

#include <chrono>
#include <cstdlib>
#include <format>

#include "harness/sql.h"

namespace penstock::harness {

Result<LatencyReport> produce_to_visible(const LatencyOptions& options) {
  auto sql = Sql::connect(options.conninfo);
  if (!sql) return std::unexpected(sql.error());
  std::string kept = std::format("sent_us >= {}", options.from_us);
  for (const TimeWindow& window : options.excluded) {
    kept += std::format(" AND NOT (sent_us >= {} AND sent_us < {})", window.from_us, window.to_us);
  }
  // A row's latency is its transaction's commit time less its own sending.
  const auto rows = sql->query(
      std::format("SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY us), "
                  "percentile_disc(0.99) WITHIN GROUP (ORDER BY us), "
                  "percentile_disc(0.999) WITHIN GROUP (ORDER BY us), max(us) FROM ("
                  "SELECT (extract(epoch FROM c.at) * 1000000)::bigint - o.sent_us AS us "
                  "FROM {0} o JOIN (SELECT x AS id, pg_xact_commit_timestamp(x) AS at FROM "
                  "(SELECT DISTINCT xmin AS x FROM {0}) t) c ON c.id = o.xmin WHERE {1}) l",
                  options.table, kept));
  if (!rows) return std::unexpected(rows.error());
  const auto& row = rows->front();
  const auto ms = [&](std::size_t column) {
    return row[column] ? std::atof(row[column]->c_str()) / 1000.0 : 0.0;
  };
  return LatencyReport{.rows = std::atoll(row[0]->c_str()),
                       .p50_ms = ms(1),
                       .p99_ms = ms(2),
                       .p999_ms = ms(3),
                       .max_ms = ms(4)};
}

std::int64_t system_now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace penstock::harness
