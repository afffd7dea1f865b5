// penstock_bench_write: what a lane costs by itself.
//
// 1. One transaction at a time, by both methods and many sizes: where COPY begins to pay
//    (kCopyFromRows). 2. One and two lanes that always have work: rows per second. 3. Rows whose
//    optional columns are there at random, beside rows that have all of them. 4. Small batches at a
//    steady pace: time from push to commit. The server is private, with fsync on.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
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
using penstock::write::Writer;
using penstock::write::WriterOptions;
using std::chrono::steady_clock;

// Rows of 20 int columns, each of which the record has with a probability of one half, or always.
// What it lacks stands there as the row builder has it: what the DEFAULT comes to where that is
// known, NULL where there is none; else it is left out.
std::unique_ptr<RowBatch> make_optional_batch(const std::shared_ptr<Chain>& chain, Offset from,
                                              std::uint32_t rows, bool random,
                                              std::uint32_t& state) {
  constexpr int kColumns = 20;
  auto batch = empty_batch(chain, from, rows);
  TableRows table;
  table.target = chain->plan->targets().data();
  for (std::uint32_t i = 0; i < rows; ++i) {
    state = state * 1664525U + 1013904223U;
    RowShape shape;
    std::vector<char> fields;
    for (std::uint16_t column = 0; column < kColumns; ++column) {
      const ColumnDescription& description = table.target->table.columns[column];
      const bool has_it = !random || ((state >> (31U - column)) & 1U) != 0;
      if (!has_it && description.has_default && description.default_field.empty()) continue;
      shape.columns.push_back(column);
      if (has_it) {
        put<std::int32_t>(fields, 4);
        put(fields, static_cast<std::int32_t>(i));
      } else if (description.has_default) {
        fields.insert(fields.end(), description.default_field.begin(),
                      description.default_field.end());
      } else {
        put<std::int32_t>(fields, -1);
      }
    }
    table.rows.push_back({i, static_cast<std::uint32_t>(table.bytes.size())});
    put(table.bytes, static_cast<std::int16_t>(shape.columns.size()));
    table.bytes.insert(table.bytes.end(), fields.begin(), fields.end());
    if (table.shapes.empty() || table.shapes.back() != shape) {
      table.runs.push_back({i, static_cast<std::uint16_t>(table.shapes.size())});
      table.shapes.push_back(std::move(shape));
    }
  }
  batch->tables.push_back(std::move(table));
  return batch;
}

double quantile(std::vector<steady_clock::duration> times, double q) {
  if (times.empty()) return 0;
  std::ranges::sort(times);
  return ms(times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))]);
}

struct Bench {
  std::unique_ptr<harness::LocalPostgres> server;
  std::shared_ptr<const Plan> plan;
  LanesOptions base;
  std::int32_t partitions = 0;

  std::shared_ptr<Chain> claim(Writer& writer, std::shared_ptr<const Plan> of = nullptr) {
    auto sql = unwrap(harness::Sql::connect(server->conninfo()));
    unwrap(
        sql.execute("INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, "
                    "epoch, owner, backend_pid, cluster_id, topic_id) VALUES ('bench', 'orders', " +
                    std::to_string(partitions) + ", 0, 1, '', 0, '', '')"));
    auto chain = std::make_shared<Chain>(PartitionId{0, partitions++}, Epoch{1}, 0,
                                         of ? std::move(of) : plan);
    writer.adopt(chain);
    return chain;
  }
  [[nodiscard]] LanesOptions options(int lanes) const {
    LanesOptions options = base;
    options.lanes = lanes;
    return options;
  }

  // Time of a transaction of `rows` rows: the fastest tenth, which other work on the machine
  // spares.
  double one_by_one(std::uint32_t rows, bool copy) {
    WriterOptions options;
    options.copy_from_rows = copy ? 1 : 1'000'000;
    options.commit_floor = 0us;
    Waiter waiter;
    Lanes lanes(this->options(1));
    const auto writer = lanes.attach(options, waiter);
    const auto chain = claim(*writer);
    lanes.start();
    std::vector<steady_clock::duration> times;
    const std::size_t tries = rows >= 10'000 ? 9 : 101;
    Offset from = 0;
    for (std::size_t i = 0; i < tries; ++i, from += rows) {
      auto batch = make_batch(chain, from, rows);
      chain->hurry();  // the fence's share of the floor is not what is measured
      const auto begin = steady_clock::now();
      writer->accept(std::move(batch));
      waiter.wait_for(i + 1);
      if (i > 0) times.push_back(steady_clock::now() - begin);
    }
    return quantile(times, 0.1);
  }

  void throughput(int count, std::uint32_t rows, int batches) {
    Waiter waiter;
    Lanes lanes(options(count));
    const auto writer = lanes.attach({}, waiter);
    for (int i = 0; i < count; ++i) {
      const auto chain = claim(*writer);
      Offset from = 0;
      for (int b = 0; b < batches; ++b, from += rows) {
        writer->accept(make_batch(chain, from, rows));
      }
    }
    const auto begin = steady_clock::now();
    lanes.start();
    waiter.wait_for(static_cast<std::size_t>(batches) * static_cast<std::size_t>(count));
    const double seconds = ms(steady_clock::now() - begin) / 1000;
    std::printf("%d lanes, batches of %u rows: %.0f rows/s\n", count, rows,
                static_cast<double>(count) * rows * batches / seconds);
  }

  double optional_columns(const std::shared_ptr<const Plan>& of, bool random) {
    constexpr std::uint32_t kRows = 1000;
    constexpr int kBatches = 100;
    Waiter waiter;
    Lanes lanes(options(1));
    const auto writer = lanes.attach({}, waiter);
    const auto chain = claim(*writer, of);
    std::uint32_t state = 7;
    for (int b = 0; b < kBatches; ++b) {
      writer->accept(make_optional_batch(chain, Offset{b} * kRows, kRows, random, state));
    }
    const auto begin = steady_clock::now();
    lanes.start();
    waiter.wait_for(kBatches);
    return kRows * kBatches / (ms(steady_clock::now() - begin) / 1000);
  }

  void pace(std::uint32_t rows, std::chrono::microseconds every, std::chrono::microseconds floor) {
    WriterOptions options;
    options.commit_floor = floor;
    Waiter waiter;
    Lanes lanes(this->options(1));
    const auto writer = lanes.attach(options, waiter);
    const auto chain = claim(*writer);
    lanes.start();
    const auto count = static_cast<std::size_t>(10s / every);
    auto next = steady_clock::now();
    Offset from = 0;
    for (std::size_t i = 0; i < count; ++i, from += rows, next += every) {
      std::this_thread::sleep_until(next);
      auto batch = make_batch(chain, from, rows);
      batch->source->trace.process_end = steady_clock::now();
      writer->accept(std::move(batch));
    }
    waiter.wait_for(count);
    const auto times = waiter.take_latencies();
    std::printf(
        "%u rows every %lld us, floor %lld us: push to commit p50 %.2f p99 %.2f max %.2f ms, "
        "%zu transactions\n",
        rows, static_cast<long long>(every.count()), static_cast<long long>(floor.count()),
        quantile(times, 0.5), quantile(times, 0.99), quantile(times, 1), waiter.transactions());
  }
};

}  // namespace

int main() {
  Bench bench;
  bench.server = unwrap(harness::LocalPostgres::start({.fsync = true, .settings = {}}));
  unwrap(offsets::migrate_up(bench.server->conninfo()));
  auto sql = unwrap(harness::Sql::connect(bench.server->conninfo()));
  unwrap(sql.execute(
      "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total float8, placed_at "
      "timestamptz)"));
  bench.base.conninfo = bench.server->conninfo();
  bench.plan = make_plan(bench.base.conninfo, "orders");

  std::printf("rows   one round trip       COPY   (ms of a transaction, fastest tenth)\n");
  for (const std::uint32_t rows :
       {1U, 10U, 50U, 100U, 200U, 300U, 500U, 1000U, 2000U, 5000U, 50'000U}) {
    const double trip = bench.one_by_one(rows, /*copy=*/false);
    const double copy = bench.one_by_one(rows, /*copy=*/true);
    std::printf("%-6u %14.3f %10.3f\n", rows, trip, copy);
  }
  bench.throughput(1, 1000, 500);
  bench.throughput(2, 1000, 500);
  for (const std::string type : {"int", "int DEFAULT 0", "int DEFAULT (random() * 0)::int"}) {
    std::string columns;
    for (int i = 0; i < 20; ++i) {
      columns += (columns.empty() ? "c" : ", c") + std::to_string(i) + " " + type;
    }
    unwrap(sql.execute("DROP TABLE IF EXISTS optional; CREATE TABLE optional (" + columns + ")"));
    const auto plan = make_plan(bench.base.conninfo, "optional");
    const double uniform = bench.optional_columns(plan, /*random=*/false);
    const double random = bench.optional_columns(plan, /*random=*/true);
    std::printf("20 columns of %s: %.0f rows/s; each left out at random: %.0f rows/s (%.2f)\n",
                type.c_str(), uniform, random, random / uniform);
  }
  bench.pace(10, 1000us, 0us);
  bench.pace(10, 1000us, 2000us);
  bench.pace(50, 1000us, 2000us);
}
