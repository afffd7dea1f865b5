// penstock_bench_write: what a lane costs by itself.
//
// 1. One transaction at a time, by both methods and many sizes: where COPY begins to pay
//    (kCopyFromRows). 2. Two lanes that always have work: rows per second. 3. Small batches at a
//    steady pace: time from push to commit. The server is private, with fsync on.
#include <algorithm>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "harness/local_postgres.h"
#include "harness/sql.h"
#include "offsets/migrations.h"
#include "postgres/catalog.h"
#include "write/lane.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;
using penstock::write::CommitStats;
using penstock::write::Lane;
using penstock::write::LaneHooks;
using penstock::write::LaneOptions;
using std::chrono::steady_clock;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T unwrap(Result<T> result) {
  if (!result) die(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

template <typename T>
void put(std::vector<char>& out, T value) {
  const T network = std::byteswap(value);
  const auto* const bytes = reinterpret_cast<const char*>(&network);
  out.insert(out.end(), bytes, bytes + sizeof network);
}

// Rows of (id bigint, customer text, total float8, placed_at timestamptz), as in the ceiling bench.
std::unique_ptr<RowBatch> make_batch(std::int32_t partition, Offset from, std::uint32_t rows) {
  auto batch = std::make_unique<RowBatch>();
  batch->source = std::make_unique<RecordBatch>(PartitionId{0, partition}, Epoch{1}, from, 64);
  batch->source->extend_to(from + rows);
  TableRows table;
  table.shapes.push_back({{0, 1, 2, 3}});
  table.runs.push_back({0, 0});
  table.bytes.reserve(rows * 64U);
  for (std::uint32_t i = 0; i < rows; ++i) {
    table.rows.push_back({i, static_cast<std::uint32_t>(table.bytes.size())});
    const std::string customer = "customer-" + std::to_string(i % 1000);
    put<std::int16_t>(table.bytes, 4);
    put<std::int32_t>(table.bytes, 8);
    put<std::int64_t>(table.bytes, (std::int64_t{partition} << 40) + from + i);
    put(table.bytes, static_cast<std::int32_t>(customer.size()));
    table.bytes.insert(table.bytes.end(), customer.begin(), customer.end());
    put<std::int32_t>(table.bytes, 8);
    put(table.bytes, std::bit_cast<std::int64_t>(9.99 * i));
    put<std::int32_t>(table.bytes, 8);
    put<std::int64_t>(table.bytes, 800'000'000'000'000 + from);
  }
  batch->tables.push_back(std::move(table));
  return batch;
}

class Waiter {
 public:
  LaneHooks hooks() {
    return {.on_committed =
                [this](std::span<std::unique_ptr<RowBatch>> batches, const CommitStats& stats) {
                  const std::lock_guard lock(mutex_);
                  for (const auto& batch : batches) {
                    latencies_.push_back(stats.end - batch->source->trace.process_end);
                  }
                  batches_ += batches.size();
                  ++transactions_;
                  changed_.notify_all();
                },
            .on_fenced = [](auto...) { die("fenced"); },
            .on_dropped = [](auto...) {},
            .on_availability =
                [](bool available, const Error& error) {
                  if (!available) die(error.to_string());
                },
            .on_configuration_error = [](const Error& error) { die(error.to_string()); }};
  }
  void wait_for(std::size_t batches) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_ >= batches; });
  }
  [[nodiscard]] std::size_t transactions() {
    const std::lock_guard lock(mutex_);
    return transactions_;
  }
  [[nodiscard]] std::vector<steady_clock::duration> take_latencies() {
    const std::lock_guard lock(mutex_);
    return std::exchange(latencies_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t batches_ = 0;
  std::size_t transactions_ = 0;
  std::vector<steady_clock::duration> latencies_;
};

double ms(steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

double quantile(std::vector<steady_clock::duration> times, double q) {
  if (times.empty()) return 0;
  std::ranges::sort(times);
  return ms(times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))]);
}

struct Bench {
  std::unique_ptr<harness::LocalPostgres> server;
  LaneOptions base;
  std::int32_t partitions = 0;

  std::int32_t claim() {
    auto sql = unwrap(harness::Sql::connect(server->conninfo()));
    unwrap(
        sql.execute("INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, "
                    "epoch, owner, backend_pid, cluster_id, topic_id) VALUES ('bench', 'orders', " +
                    std::to_string(partitions) + ", 0, 1, '', 0, '', '')"));
    return partitions++;
  }

  // Time of a transaction of `rows` rows: the fastest tenth, which other work on the machine
  // spares.
  double one_by_one(std::uint32_t rows, bool copy) {
    LaneOptions options = base;
    options.copy_from_rows = copy ? 1 : 1'000'000;
    options.commit_floor = 0us;
    const std::int32_t partition = claim();
    Waiter waiter;
    Lane lane(options, waiter.hooks());
    lane.start();
    std::vector<steady_clock::duration> times;
    const std::size_t tries = rows >= 10'000 ? 9 : 101;
    Offset from = 0;
    for (std::size_t i = 0; i < tries; ++i, from += rows) {
      auto batch = make_batch(partition, from, rows);
      const auto begin = steady_clock::now();
      lane.push(std::move(batch));
      waiter.wait_for(i + 1);
      if (i > 0) times.push_back(steady_clock::now() - begin);
    }
    return quantile(times, 0.1);
  }

  void throughput(int lanes, std::uint32_t rows, int batches) {
    std::vector<std::unique_ptr<Waiter>> waiters;
    std::vector<std::unique_ptr<Lane>> running;
    for (int i = 0; i < lanes; ++i) {
      const std::int32_t partition = claim();
      waiters.push_back(std::make_unique<Waiter>());
      running.push_back(std::make_unique<Lane>(base, waiters.back()->hooks()));
      Offset from = 0;
      for (int b = 0; b < batches; ++b, from += rows) {
        running.back()->push(make_batch(partition, from, rows));
      }
    }
    const auto begin = steady_clock::now();
    for (auto& lane : running) lane->start();
    for (auto& waiter : waiters) waiter->wait_for(static_cast<std::size_t>(batches));
    const double seconds = ms(steady_clock::now() - begin) / 1000;
    std::printf("%d lanes, batches of %u rows: %.0f rows/s\n", lanes, rows,
                static_cast<double>(lanes) * rows * batches / seconds);
  }

  void pace(std::uint32_t rows, std::chrono::microseconds every, std::chrono::microseconds floor) {
    LaneOptions options = base;
    options.commit_floor = floor;
    const std::int32_t partition = claim();
    Waiter waiter;
    Lane lane(options, waiter.hooks());
    lane.start();
    const auto count = static_cast<std::size_t>(10s / every);
    auto next = steady_clock::now();
    Offset from = 0;
    for (std::size_t i = 0; i < count; ++i, from += rows, next += every) {
      std::this_thread::sleep_until(next);
      auto batch = make_batch(partition, from, rows);
      batch->source->trace.process_end = steady_clock::now();
      lane.push(std::move(batch));
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
  bench.base.pipeline = "bench";
  bench.base.topics = {"orders"};
  bench.base.tables = {unwrap(penstock::postgres::describe_table(bench.base.conninfo, "orders"))};

  std::printf("rows   one round trip       COPY   (ms of a transaction, fastest tenth)\n");
  for (const std::uint32_t rows :
       {1U, 10U, 50U, 100U, 200U, 300U, 500U, 1000U, 2000U, 5000U, 50'000U}) {
    const double trip = bench.one_by_one(rows, /*copy=*/false);
    const double copy = bench.one_by_one(rows, /*copy=*/true);
    std::printf("%-6u %14.3f %10.3f\n", rows, trip, copy);
  }
  bench.throughput(1, 1000, 500);
  bench.throughput(2, 1000, 500);
  bench.pace(10, 1000us, 0us);
  bench.pace(10, 1000us, 2000us);
  bench.pace(50, 1000us, 2000us);
}
