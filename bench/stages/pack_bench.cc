// What ingest does with a record once it has it: into the open batch of its partition.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include "core/chain.h"
#include "core/charge.h"
#include "ingest/batch_builder.h"
#include "stages/stage_workload.h"

namespace penstock::bench {
namespace {

constexpr ingest::BatchBuilder::Limits kLimits{.bytes = std::size_t{512} << 10, .records = 4096};

// With the allocation of the batch and its end.
void pack(benchmark::State& state) {
  const StageWorkload workload("orders");
  InFlight account(std::size_t{1} << 30, std::size_t{1} << 30);
  const auto chain = std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, nullptr);
  ingest::BatchBuilder builder(chain, 0, kLimits, account);
  const SteadyTime now{};
  Offset offset = 0;
  for (auto step : state) {
    for (const std::string& document : workload.documents) {
      builder.add(offset++, 0, {}, document, now);
      if (!builder.full()) continue;
      const auto batch = builder.take(now);
    }
  }
  count_each(state, "record", workload.documents.size());
}

// The floor: the bytes have to get there.
void copy_bytes(benchmark::State& state) {
  const StageWorkload workload("orders");
  const auto arena = std::make_unique<char[]>(workload.bytes());
  for (auto step : state) {
    char* at = arena.get();
    for (const std::string& document : workload.documents) {
      std::memcpy(at, document.data(), document.size());
      at += document.size();
    }
    benchmark::DoNotOptimize(arena.get());
    benchmark::ClobberMemory();
  }
  count_each(state, "record", workload.documents.size());
}

BENCHMARK(pack)->Name("pack/orders");
BENCHMARK(copy_bytes)->Name("floor/copy_bytes/orders");

}  // namespace
}  // namespace penstock::bench
