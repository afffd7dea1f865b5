// Batches of a chain back into offset order. A batch of orders has about 2,700 records.
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

std::vector<std::shared_ptr<Chain>> make_chains() {
  std::vector<std::shared_ptr<Chain>> chains;
  for (std::int32_t i = 0; i < kPartitionCount; ++i) {
    chains.push_back(std::make_shared<Chain>(PartitionId{0, i}, Epoch{1}, 0, nullptr));
  }
  return chains;
}

// Of one chain after the other, each from offset 0 on.
std::vector<std::unique_ptr<RowBatch>> make_batches(
    const std::vector<std::shared_ptr<Chain>>& chains) {
  std::vector<std::unique_ptr<RowBatch>> batches;
  for (std::int64_t i = 0; i < kBatches * kPartitionCount; ++i) {
    const auto& chain = chains[static_cast<std::size_t>(i % kPartitionCount)];
    const Offset from = i / kPartitionCount * kRecords;
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(chain, from, 64);
    batch->source->extend_to(from + kRecords);
    batches.push_back(std::move(batch));
  }
  return batches;
}

// Keeps what was released.
class Lane final : public RowSink {
 public:
  void accept(std::unique_ptr<RowBatch> batch) override { released.push_back(std::move(batch)); }
  std::vector<std::unique_ptr<RowBatch>> released;
};

// `window` batches of all chains complete in reverse: with one, all come in order.
void complete(benchmark::State& state) {
  const auto window = state.range(0);
  const std::vector<std::shared_ptr<Chain>> chains = make_chains();
  std::vector<std::unique_ptr<RowBatch>> batches = make_batches(chains);
  Lane lane;
  std::vector<std::unique_ptr<RowBatch>>& released = lane.released;
  released.reserve(batches.size());
  sequence::Sequencer sequencer(lane);
  for (auto step : state) {
    state.PauseTiming();
    for (const auto& chain : chains) {
      const MutexLock lock(chain->order.mutex);
      chain->order.next = 0;
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
    for (auto& batch : batches) sequencer.accept(std::move(batch));
    if (released.size() != batches.size()) state.SkipWithError("not all were released");
  }
  count_each(state, "batch", batches.size());
  count_each(state, "record", batches.size() * kRecords);
}

BENCHMARK(complete)->Name("sequence/in_order")->Arg(1);
BENCHMARK(complete)->Name("sequence/out_of_order")->Arg(4 * kPartitionCount);

}  // namespace
}  // namespace penstock::bench
