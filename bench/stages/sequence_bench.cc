// Batches of a partition back into offset order. A batch of orders has about 2,700 records.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "sequence/sequencer.h"
#include "stages/stage_workload.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kBatches = 64;
constexpr std::int64_t kRecords = 2'700;
constexpr std::int64_t kPartitionCount = 8;

// Of the first partition after the other, each from offset 0 on.
std::vector<std::unique_ptr<RowBatch>> make_batches() {
  std::vector<std::unique_ptr<RowBatch>> batches;
  for (std::int64_t i = 0; i < kBatches * kPartitionCount; ++i) {
    const auto partition = static_cast<std::int32_t>(i % kPartitionCount);
    const Offset from = i / kPartitionCount * kRecords;
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(PartitionId{0, partition}, Epoch{1}, from, 64);
    batch->source->extend_to(from + kRecords);
    batches.push_back(std::move(batch));
  }
  return batches;
}

// `window` batches of all partitions complete in reverse: with one, all come in order.
void complete(benchmark::State& state) {
  const auto window = state.range(0);
  std::vector<std::unique_ptr<RowBatch>> batches = make_batches();
  std::vector<std::unique_ptr<RowBatch>> released;
  released.reserve(batches.size());
  sequence::Sequencer sequencer(
      {.release = [&](std::unique_ptr<RowBatch> batch) { released.push_back(std::move(batch)); },
       .drop = [&](auto) { state.SkipWithError("dropped"); }});
  for (auto step : state) {
    state.PauseTiming();
    for (std::int32_t i = 0; i < kPartitionCount; ++i) {
      sequencer.start_chain(PartitionId{0, i}, Epoch{1}, 0);
    }
    if (!released.empty()) {
      std::ranges::sort(released, {}, [](const auto& batch) {
        return std::pair(batch->range().from, batch->partition().partition);
      });
      batches.swap(released);
      released.clear();
    }
    for (auto from = batches.begin(); from != batches.end(); from += window) {
      std::reverse(from, from + window);
    }
    state.ResumeTiming();
    for (auto& batch : batches) sequencer.complete(std::move(batch));
    if (released.size() != batches.size()) state.SkipWithError("not all were released");
  }
  count_each(state, "batch", batches.size());
  count_each(state, "record", batches.size() * kRecords);
}

BENCHMARK(complete)->Name("sequence/in_order")->Arg(1);
BENCHMARK(complete)->Name("sequence/out_of_order")->Arg(4 * kPartitionCount);

}  // namespace
}  // namespace penstock::bench
