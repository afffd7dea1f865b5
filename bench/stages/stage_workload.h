// The records and columns of ./dev bench peers, for the benchmarks of single stages.
//
// Threads: one. Failure: ends the benchmark with a message.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "compute/projection.h"
#include "core/record_batch.h"
#include "core/table.h"

namespace penstock::bench {

struct StageWorkload {
  compute::ComputeOptions options;
  TableDescription table;
  std::vector<std::string> documents;

  // `name` is one of ./dev bench peers. As many records as ingest puts into a batch of `orders`.
  explicit StageWorkload(const std::string& name);

  [[nodiscard]] std::unique_ptr<RecordBatch> batch() const;
  [[nodiscard]] compute::Projection compile() const;
  [[nodiscard]] std::size_t bytes() const;
};

// The counter that the tables and --json show: seconds of each of the `count` things that one
// iteration does.
void count_each(benchmark::State& state, const std::string& thing, std::size_t count);

}  // namespace penstock::bench
