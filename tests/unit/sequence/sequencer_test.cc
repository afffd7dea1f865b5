#include "sequence/sequencer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::sequence {
namespace {

constexpr PartitionId kFirst{0, 0};
constexpr PartitionId kOther{0, 1};

Sequencer::Batch batch(Offset from, Offset to, PartitionId partition = kFirst,
                       Epoch epoch = Epoch{1}) {
  auto rows = std::make_unique<RowBatch>();
  rows->source = std::make_unique<RecordBatch>(partition, epoch, from, 16);
  for (Offset offset = from; offset < to; ++offset) {
    rows->source->add_record(offset, 0, std::nullopt, "x");
  }
  return rows;
}

class SequencerTest : public testing::Test {
 protected:
  std::vector<Offset> released;  // where the released ranges begin
  std::vector<Offset> dropped;
  Sequencer sequencer{
      {.release = [this](Sequencer::Batch b) { released.push_back(b->range().from); },
       .drop = [this](Sequencer::Batch b) { dropped.push_back(b->range().from); }}};
};

using Offsets = std::vector<Offset>;

TEST_F(SequencerTest, ReleasesInOffsetOrder) {
  sequencer.start_chain(kFirst, Epoch{1}, 10);
  sequencer.complete(batch(30, 40));
  sequencer.complete(batch(20, 30));
  EXPECT_TRUE(released.empty());
  EXPECT_EQ(sequencer.in_flight(kFirst), 20U);
  sequencer.complete(batch(10, 20));
  EXPECT_EQ(released, (Offsets{10, 20, 30}));
  EXPECT_EQ(sequencer.in_flight(kFirst), 0U);
  sequencer.complete(batch(40, 50));
  EXPECT_EQ(released.back(), 40);
}

TEST_F(SequencerTest, ReleasesABatchWithoutRecordsInItsPlace) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  auto gap = std::make_unique<RowBatch>();
  gap->source = std::make_unique<RecordBatch>(kFirst, Epoch{1}, 5, 16);
  gap->source->extend_to(9);
  sequencer.complete(batch(9, 12));
  sequencer.complete(std::move(gap));
  sequencer.complete(batch(0, 5));
  EXPECT_EQ(released, (Offsets{0, 5, 9}));
}

TEST_F(SequencerTest, KeepsPartitionsApart) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  sequencer.start_chain(kOther, Epoch{1}, 100);
  sequencer.complete(batch(5, 6));
  sequencer.complete(batch(100, 110, kOther));
  EXPECT_EQ(released, (Offsets{100}));
  EXPECT_EQ(sequencer.in_flight(kFirst), 1U);
}

TEST_F(SequencerTest, DropsCompletionsOfAnOldEpoch) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  sequencer.start_chain(kFirst, Epoch{2}, 0);
  sequencer.complete(batch(0, 10, kFirst, Epoch{1}));
  EXPECT_EQ(dropped, (Offsets{0}));
  sequencer.complete(batch(0, 10, kFirst, Epoch{2}));
  EXPECT_EQ(released, (Offsets{0}));
  EXPECT_EQ(sequencer.dropped().value(), 1U);
}

TEST_F(SequencerTest, DropsWhatWaitsWhenANewChainBegins) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  sequencer.complete(batch(10, 20));
  sequencer.complete(batch(20, 30));
  sequencer.start_chain(kFirst, Epoch{2}, 5);
  EXPECT_EQ(dropped, (Offsets{10, 20}));
  EXPECT_EQ(sequencer.in_flight(kFirst), 0U);
}

TEST_F(SequencerTest, DropsEverythingOfAnEndedChain) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  sequencer.complete(batch(10, 20));
  sequencer.end_chain(kFirst);
  sequencer.end_chain(kFirst);
  sequencer.complete(batch(0, 10));
  EXPECT_TRUE(released.empty());
  EXPECT_EQ(dropped, (Offsets{10, 0}));
}

TEST_F(SequencerTest, DropsBatchesOfAPartitionItDoesNotKnow) {
  sequencer.complete(batch(0, 10));
  EXPECT_EQ(dropped, (Offsets{0}));
}

TEST_F(SequencerTest, DropsABatchThatComesTwice) {
  sequencer.start_chain(kFirst, Epoch{1}, 0);
  sequencer.complete(batch(10, 20));
  sequencer.complete(batch(10, 20));
  sequencer.complete(batch(0, 10));
  sequencer.complete(batch(0, 10));
  EXPECT_EQ(released, (Offsets{0, 10}));
  EXPECT_EQ(dropped, (Offsets{10, 0}));
}

TEST(SequencerThreads, KeepTheOrderOfEveryPartition) {
  constexpr int kPartitions = 4;
  constexpr int kBatches = 500;
  // `next` needs no lock: releases of a partition exclude each other, and TSan watches.
  std::vector<Offset> next(kPartitions, 0);
  std::atomic<int> disorder{0};
  Sequencer sequencer({.release =
                           [&](Sequencer::Batch b) {
                             Offset& expected =
                                 next[static_cast<std::size_t>(b->partition().partition)];
                             if (b->range().from != expected) ++disorder;
                             expected = b->range().to;
                           },
                       .drop = [&](Sequencer::Batch) { ++disorder; }});
  std::vector<std::pair<int, int>> work;
  for (int partition = 0; partition < kPartitions; ++partition) {
    sequencer.start_chain({0, partition}, Epoch{1}, 0);
    for (int i = 0; i < kBatches; ++i) work.emplace_back(partition, i);
  }
  std::ranges::shuffle(work, std::mt19937(1));  // NOLINT: the same order every time
  std::atomic<std::size_t> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::size_t n = taken++; n < work.size(); n = taken++) {
        const auto [partition, index] = work[n];
        sequencer.complete(batch(index * 3, index * 3 + 3, {0, partition}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(disorder, 0);
  for (const Offset end : next) EXPECT_EQ(end, kBatches * 3);
}

TEST(SequencerThreads, ReleaseNothingOfAChainAfterItsEnd) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> ended{false};
    std::atomic<bool> late{false};
    Sequencer sequencer({.release =
                             [&](Sequencer::Batch) {
                               if (ended) late = true;
                             },
                         .drop = {}});
    sequencer.start_chain(kFirst, Epoch{1}, 0);
    std::thread worker([&] {
      for (Offset i = 0; i < 100; ++i) sequencer.complete(batch(i, i + 1));
    });
    sequencer.end_chain(kFirst);
    ended = true;
    worker.join();
    EXPECT_FALSE(late);
  }
}

}  // namespace
}  // namespace penstock::sequence
