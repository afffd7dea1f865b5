// What the benchmarks of lanes share: plans and batches made by hand, and whoever waits for their
// commits. A failure ends the program.
#pragma once

#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/plan.h"
#include "core/stages.h"
#include "postgres/catalog.h"
#include "postgres/pool.h"

namespace penstock::bench {

using std::chrono::steady_clock;

[[noreturn]] inline void die(const std::string& message) {
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

class BenchPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

inline std::shared_ptr<const Plan> make_plan(const std::string& conninfo, const std::string& table,
                                             WriteMode mode = WriteMode::append) {
  postgres::Pool pool({.conninfo = conninfo});
  Target target{.number = 0, .table = unwrap(postgres::describe_table(pool, table)), .mode = mode};
  if (target.is_keyed()) target.key = {0};
  return std::make_shared<BenchPlan>("bench", std::vector<std::string>{"orders"},
                                     std::vector<Target>{std::move(target)});
}

inline std::unique_ptr<RowBatch> empty_batch(const std::shared_ptr<Chain>& chain, Offset from,
                                             std::uint32_t rows) {
  auto batch = std::make_unique<RowBatch>();
  batch->source = std::make_unique<RecordBatch>(chain, from, 64);
  for (std::uint32_t i = 0; i < rows; ++i) {
    batch->source->add_record(from + i, -1, std::nullopt, std::nullopt);
  }
  return batch;
}

// Rows of (id bigint, customer text, total float8, placed_at timestamptz), as in the ceiling bench.
// `id_of`: of the row of an offset.
template <typename Id>
std::unique_ptr<RowBatch> make_batch(const std::shared_ptr<Chain>& chain, Offset from,
                                     std::uint32_t rows, Id id_of) {
  auto batch = empty_batch(chain, from, rows);
  TableRows table;
  table.target = chain->plan->targets().data();
  table.shapes.push_back({{0, 1, 2, 3}});
  table.runs.push_back({0, 0});
  table.bytes.reserve(rows * 64U);
  for (std::uint32_t i = 0; i < rows; ++i) {
    table.rows.push_back({i, static_cast<std::uint32_t>(table.bytes.size())});
    const std::string customer = "customer-" + std::to_string(i % 1000);
    put<std::int16_t>(table.bytes, 4);
    put<std::int32_t>(table.bytes, 8);
    put<std::int64_t>(table.bytes, id_of(from + i));
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

// With an id for each offset of each partition.
inline std::unique_ptr<RowBatch> make_batch(const std::shared_ptr<Chain>& chain, Offset from,
                                            std::uint32_t rows) {
  const std::int64_t base = std::int64_t{chain->partition.partition} << 40;
  return make_batch(chain, from, rows, [base](Offset offset) { return base + offset; });
}

class Waiter final : public ChainEvents {
 public:
  void claimed(const std::shared_ptr<Chain>&) override {}
  void ended(const std::shared_ptr<Chain>&) override {}
  void hurried(std::span<const std::shared_ptr<Chain>>) override {}
  void mirrored(const Chain&, Offset, SteadyTime, SteadyTime, const std::string&) override {}
  void broken(const std::shared_ptr<Chain>&, const Error&) override {}
  void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                 const CommitStats& stats) override {
    const std::lock_guard lock(mutex_);
    for (const auto& batch : batches) {
      latencies_.push_back(stats.end - batch->source->trace.process_end);
    }
    batches_ += batches.size();
    ++transactions_;
    changed_.notify_all();
  }
  void fenced(const std::shared_ptr<Chain>&, const FoundPosition&) override { die("fenced"); }
  void too_many_rejects(const std::shared_ptr<Chain>&, const Error&) override {}
  void put_off(const std::shared_ptr<Chain>&) override {}
  void doubted(const std::shared_ptr<const Plan>&) override {}
  void stalled(std::uint16_t, const std::optional<Stall>& stall) override {
    if (stall) die(stall->error.to_string());
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

inline double ms(steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace penstock::bench
