#include "sequence/sequencer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "support/chains.h"

namespace penstock::sequence {
namespace {

using Offsets = std::vector<Offset>;

std::unique_ptr<RowBatch> batch(const std::shared_ptr<Chain>& chain, Offset from, Offset to) {
  auto rows = std::make_unique<RowBatch>();
  rows->source = test::records(chain, from, to);
  return rows;
}

// A lane that does with every batch what the test says.
class Lane final : public RowSink {
 public:
  explicit Lane(std::function<void(const RowBatch&)> on_batch) : on_batch_(std::move(on_batch)) {}
  void accept(std::unique_ptr<RowBatch> batch) override { on_batch_(*batch); }

 private:
  std::function<void(const RowBatch&)> on_batch_;
};

class SequencerTest : public testing::Test {
 protected:
  // What waits in a chain holds the chain: whoever ends one drops it.
  ~SequencerTest() override {
    chain_->end(ChainEnd::stopped);
    sequencer_.drop_waiting(*chain_);
  }

  std::shared_ptr<Chain> chain_ = test::chain();
  Offsets released_;  // where the released ranges begin
  Lane lane_{[this](const RowBatch& batch) { released_.push_back(batch.range().from); }};
  Sequencer sequencer_{lane_};
};

TEST_F(SequencerTest, ReleasesInOffsetOrder) {
  chain_ = test::chain({}, Epoch{1}, 10);
  sequencer_.accept(batch(chain_, 30, 40));
  sequencer_.accept(batch(chain_, 20, 30));
  EXPECT_TRUE(released_.empty());
  sequencer_.accept(batch(chain_, 10, 20));
  EXPECT_EQ(released_, (Offsets{10, 20, 30}));
  sequencer_.accept(batch(chain_, 40, 50));
  EXPECT_EQ(released_.back(), 40);
}

TEST_F(SequencerTest, ReleasesABatchWithoutRecordsInItsPlace) {
  auto gap = std::make_unique<RowBatch>();
  gap->source = std::make_unique<RecordBatch>(chain_, 5, 16);
  gap->source->extend_to(9);
  sequencer_.accept(batch(chain_, 9, 12));
  sequencer_.accept(std::move(gap));
  sequencer_.accept(batch(chain_, 0, 5));
  EXPECT_EQ(released_, (Offsets{0, 5, 9}));
}

TEST_F(SequencerTest, KeepsChainsApart) {
  const auto other = test::chain({0, 1}, Epoch{1}, 100);
  sequencer_.accept(batch(chain_, 5, 6));
  sequencer_.accept(batch(other, 100, 110));
  EXPECT_EQ(released_, (Offsets{100}));
}

TEST_F(SequencerTest, DropsCompletionsOfAnOldClaim) {
  const auto next_claim = test::chain({}, Epoch{2}, 0);
  chain_->end(ChainEnd::fenced);
  sequencer_.accept(batch(chain_, 0, 10));
  EXPECT_TRUE(released_.empty());
  sequencer_.accept(batch(next_claim, 0, 10));
  EXPECT_EQ(released_, (Offsets{0}));
  EXPECT_EQ(sequencer_.dropped().value(), 1U);
}

TEST_F(SequencerTest, DropsEverythingOfAnEndedChain) {
  sequencer_.accept(batch(chain_, 10, 20));
  chain_->end(ChainEnd::revoked);
  sequencer_.drop_waiting(*chain_);
  sequencer_.drop_waiting(*chain_);
  sequencer_.accept(batch(chain_, 0, 10));
  EXPECT_TRUE(released_.empty());
  EXPECT_EQ(sequencer_.dropped().value(), 2U);
}

TEST_F(SequencerTest, DropsABatchThatComesTwice) {
  sequencer_.accept(batch(chain_, 10, 20));
  sequencer_.accept(batch(chain_, 10, 20));
  sequencer_.accept(batch(chain_, 0, 10));
  sequencer_.accept(batch(chain_, 0, 10));
  EXPECT_EQ(released_, (Offsets{0, 10}));
  EXPECT_EQ(sequencer_.dropped().value(), 2U);
}

TEST_F(SequencerTest, GivesBackWhatADroppedBatchWasCharged) {
  InFlight account(1000, 1000);
  auto late = batch(chain_, 0, 1);
  late->source->charge = Charge(account);
  late->source->charge.set_read_bytes(70);
  late->source->charge.hand_on(chain_, 1, SteadyTime{});
  chain_->end(ChainEnd::lost);
  sequencer_.accept(std::move(late));
  EXPECT_EQ(account.read.used(), 0U);
  EXPECT_EQ(chain_->batches_in_flight(), 0);
}

TEST(SequencerThreads, KeepTheOrderOfEveryChain) {
  constexpr int kChains = 4;
  constexpr int kBatches = 500;
  // `next` needs no lock: releases of a chain exclude each other, and TSan watches.
  std::vector<Offset> next(kChains, 0);
  std::atomic<int> disorder{0};
  Lane lane([&](const RowBatch& batch) {
    Offset& expected = next[static_cast<std::size_t>(batch.partition().partition)];
    if (batch.range().from != expected) ++disorder;
    expected = batch.range().to;
  });
  Sequencer sequencer(lane);
  std::vector<std::shared_ptr<Chain>> chains;
  std::vector<std::pair<int, int>> work;
  for (int i = 0; i < kChains; ++i) {
    chains.push_back(test::chain({0, i}));
    for (int j = 0; j < kBatches; ++j) work.emplace_back(i, j);
  }
  std::ranges::shuffle(work, std::mt19937(1));  // NOLINT: the same order every time
  std::atomic<std::size_t> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::size_t n = taken++; n < work.size(); n = taken++) {
        const auto [chain, index] = work[n];
        sequencer.accept(batch(chains[static_cast<std::size_t>(chain)], index * 3, index * 3 + 3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(disorder, 0);
  EXPECT_EQ(sequencer.dropped().value(), 0U);
  for (const Offset end : next) EXPECT_EQ(end, kBatches * 3);
}

TEST(SequencerThreads, ReleaseNothingOfAChainAfterItsEnd) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> ended{false};
    std::atomic<bool> late{false};
    Lane lane([&](const RowBatch&) {
      if (ended) late = true;
    });
    Sequencer sequencer(lane);
    const auto chain = test::chain();
    std::thread worker([&] {
      for (Offset i = 0; i < 100; ++i) sequencer.accept(batch(chain, i, i + 1));
    });
    chain->end(ChainEnd::revoked);
    sequencer.drop_waiting(*chain);
    ended = true;
    worker.join();
    EXPECT_FALSE(late);
  }
}

}  // namespace
}  // namespace penstock::sequence
