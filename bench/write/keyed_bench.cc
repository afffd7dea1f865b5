// penstock_bench_keyed: what it costs to write rows by their key.
//
// 1. One transaction at a time, one by one and staged, and many sizes: where staging begins to pay.
// 2. Two lanes that always have work, at some shares of updates, beside PostgreSQL's own merge of a
// staging table that is filled before the clock starts, and beside appending. 3. What a replay of
// the same rows writes to PostgreSQL's log. The server is private, with fsync on.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "harness/local_postgres.h"
#include "harness/sql.h"
#include "lane_load.h"
#include "offsets/migrations.h"
#include "write/lanes.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using namespace penstock::bench;
using penstock::write::Lanes;
using penstock::write::LanesOptions;
using penstock::write::WriterOptions;

constexpr std::int64_t kThere = 1'000'000;  // rows, before the clock starts
constexpr std::int64_t kRecords = 1'000'000;
constexpr int kLanes = 2;

class Bench {
 public:
  Bench()
      : server_(unwrap(harness::LocalPostgres::start({.fsync = true, .settings = {}}))),
        sql_(unwrap(harness::Sql::connect(server_->conninfo()))) {
    unwrap(offsets::migrate_up(server_->conninfo()));
  }

  // Time of a transaction of `rows` new rows: the fastest tenth.
  double one_by_one(std::uint32_t rows, bool staged) {
    make_table();
    WriterOptions options;
    options.copy_from_rows = staged ? 1 : 1'000'000;
    options.commit_floor = 0us;
    Waiter waiter;
    Lanes lanes(lanes_options(1));
    const auto writer = lanes.attach(options, waiter);
    const auto chain = claim(*writer, make_plan(server_->conninfo(), "orders", WriteMode::upsert));
    lanes.start();
    std::vector<double> times;
    Offset from = 0;
    for (std::size_t i = 0; i < 60; ++i, from += rows) {
      auto batch = make_batch(chain, from, rows);
      chain->hurry();
      const auto begin = steady_clock::now();
      writer->accept(std::move(batch));
      waiter.wait_for(i + 1);
      if (i > 0) times.push_back(ms(steady_clock::now() - begin));
    }
    std::ranges::sort(times);
    return times[times.size() / 10];
  }

  // Rows per second of kRecords, of which `updates` percent are of rows that are there.
  double lanes(WriteMode mode, int updates) {
    make_table();
    if (updates > 0) fill("orders", "generate_series(0, " + std::to_string(kThere - 1) + ") AS id");
    unwrap(sql_.execute("CHECKPOINT"));
    const double seconds = run_lanes(make_plan(server_->conninfo(), "orders", mode), updates);
    return static_cast<double>(kRecords) / seconds;
  }

  // The same records twice: rows per second of the second time, and its share of the first one's
  // log.
  std::pair<double, double> replay() {
    make_table();
    const auto plan = make_plan(server_->conninfo(), "orders", WriteMode::upsert);
    std::vector<double> bytes;
    double seconds = 0;
    for (int run = 0; run < 2; ++run) {
      unwrap(sql_.execute("CHECKPOINT"));
      const std::string before = position();
      seconds = run_lanes(plan, 0);
      bytes.push_back(bytes_since(before));
    }
    return {static_cast<double>(kRecords) / seconds, bytes[1] / bytes[0]};
  }

  double merge(int updates) {
    make_table();
    if (updates > 0) fill("orders", "generate_series(0, " + std::to_string(kThere - 1) + ") AS id");
    unwrap(
        sql_.execute("DROP TABLE IF EXISTS staging; CREATE UNLOGGED TABLE staging (LIKE orders)"));
    fill("staging", "(SELECT CASE WHEN n % 100 < " + std::to_string(updates) + " THEN n * 7919 % " +
                        std::to_string(kThere) + " ELSE n + " + std::to_string(kThere) +
                        " END AS id FROM generate_series(0::bigint, " +
                        std::to_string(kRecords - 1) + ") AS n) AS made");
    unwrap(sql_.execute("CHECKPOINT"));
    const auto begin = steady_clock::now();
    unwrap(sql_.execute(
        "INSERT INTO orders SELECT * FROM staging ON CONFLICT (id) DO UPDATE SET customer = "
        "excluded.customer, total = excluded.total, placed_at = excluded.placed_at"));
    return static_cast<double>(kRecords) / (ms(steady_clock::now() - begin) / 1000);
  }

 private:
  void make_table() {
    unwrap(sql_.execute(
        "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id bigint PRIMARY KEY, customer text, "
        "total float8, placed_at timestamptz)"));
  }
  void fill(const std::string& table, const std::string& ids) {
    unwrap(sql_.execute("INSERT INTO " + table +
                        " SELECT id, 'customer-' || id % 1000, 9.99 * id, "
                        "now() FROM " +
                        ids));
  }
  [[nodiscard]] std::string position() {
    return *unwrap(sql_.query("SELECT pg_current_wal_lsn()")).front().front();
  }
  [[nodiscard]] double bytes_since(const std::string& before) {
    return std::stod(*unwrap(sql_.query("SELECT pg_current_wal_lsn() - '" + before + "'::pg_lsn"))
                          .front()
                          .front());
  }
  [[nodiscard]] LanesOptions lanes_options(int count) const {
    LanesOptions options;
    options.conninfo = server_->conninfo();
    options.lanes = count;
    return options;
  }

  std::shared_ptr<Chain> claim(write::Writer& writer, std::shared_ptr<const Plan> plan) {
    unwrap(
        sql_.execute("INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, "
                     "epoch, owner, backend_pid, cluster_id, topic_id) VALUES ('bench', "
                     "'orders', " +
                     std::to_string(partitions_) + ", 0, 1, '', 0, '', '')"));
    auto chain =
        std::make_shared<Chain>(PartitionId{0, partitions_++}, Epoch{1}, 0, std::move(plan));
    writer.adopt(chain);
    return chain;
  }

  double run_lanes(const std::shared_ptr<const Plan>& plan, int updates) {
    constexpr std::uint32_t kRows = 2000;
    Waiter waiter;
    Lanes lanes(lanes_options(kLanes));
    const auto writer = lanes.attach({}, waiter);
    std::size_t batches = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto chain = claim(*writer, plan);
      for (Offset from = 0; from < kRecords / kLanes; from += kRows, ++batches) {
        writer->accept(make_batch(chain, from, kRows, [&](Offset offset) {
          const std::int64_t n = offset * kLanes + lane;
          return n % 100 < updates ? n * 7919 % kThere : n + kThere;
        }));
      }
    }
    const auto begin = steady_clock::now();
    lanes.start();
    waiter.wait_for(batches);
    return ms(steady_clock::now() - begin) / 1000;
  }

  std::unique_ptr<harness::LocalPostgres> server_;
  harness::Sql sql_;
  std::int32_t partitions_ = 0;
};

}  // namespace

int main() {
  Bench bench;
  std::printf("rows   one by one     staged   (ms of a transaction, fastest tenth)\n");
  for (const std::uint32_t rows : {1U, 5U, 10U, 20U, 50U, 100U, 200U, 500U, 2000U}) {
    const double each = bench.one_by_one(rows, /*staged=*/false);
    const double staged = bench.one_by_one(rows, /*staged=*/true);
    std::printf("%-6u %10.3f %10.3f\n", rows, each, staged);
  }
  std::printf("append, %d lanes: %.0f rows/s\n", kLanes, bench.lanes(WriteMode::append, 0));
  for (const int updates : {0, 10, 100}) {
    const double merged = bench.merge(updates);
    const double written = bench.lanes(WriteMode::upsert, updates);
    std::printf("upsert, %d %% updates: %.0f rows/s; PostgreSQL's own merge: %.0f (%.2f)\n",
                updates, written, merged, written / merged);
  }
  const auto [again, share] = bench.replay();
  std::printf("the same rows once more: %.0f rows/s, %.4f of the first run's WAL\n", again, share);
}
