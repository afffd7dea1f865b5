// What stands behind ingest in these tests: positions with epochs and a fence, as PostgreSQL holds
// them, and a lane that commits batches against them on its own thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "ingest/consumer.h"

namespace penstock::ingest {

// Waits for a condition; false when it did not come true in 30 s.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

class FakeStore {
 public:
  struct Row {
    PartitionId partition;
    Offset offset = 0;
    std::optional<std::string> value;
  };

  Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests);
  // All of the batch's records, or nothing: the fence.
  bool commit(const RecordBatch& batch);

  void set_position(PartitionId partition, Offset next);
  // The next claims fail.
  void fail_claims(int count);
  void refuse(PartitionId partition, const std::string& reason);
  // As if another instance had claimed it.
  void steal(PartitionId partition);

  [[nodiscard]] std::vector<Row> rows() const;
  [[nodiscard]] std::size_t row_count() const;
  [[nodiscard]] Offset position(PartitionId partition) const;
  [[nodiscard]] Epoch epoch(PartitionId partition) const;
  [[nodiscard]] std::vector<ClaimRequest> requests() const;
  // Every partition has its records from 0 (or `first`) in order, none twice.
  void expect_in_order(Offset first = 0) const;

 private:
  struct State {
    Epoch epoch = Epoch::none;
    std::optional<Offset> next;
    std::string refused;
  };

  mutable Mutex mutex_;
  std::map<PartitionId, State> states_ GUARDED_BY(mutex_);
  std::vector<Row> rows_ GUARDED_BY(mutex_);
  std::vector<ClaimRequest> requests_ GUARDED_BY(mutex_);
  int failing_ GUARDED_BY(mutex_) = 0;
};

// A consumer with a lane behind it.
class FakePipeline {
 public:
  FakePipeline(FakeStore& store, ConsumerOptions options,
               std::size_t budget_bytes = std::size_t{64} << 20);
  ~FakePipeline();
  FakePipeline(const FakePipeline&) = delete;
  FakePipeline& operator=(const FakePipeline&) = delete;

  [[nodiscard]] Consumer& consumer() { return *consumer_; }
  [[nodiscard]] ByteBudget& read_budget() { return read_; }
  // While held, batches pile up before the lane.
  void hold(bool on);
  // The store's fence said no to a batch of this partition: ask for a new claim.
  std::function<void(PartitionId, Epoch)> on_fenced;

  [[nodiscard]] std::size_t held_batches() const;
  [[nodiscard]] std::vector<std::string> calls() const;  // the hooks that were called, in order
  [[nodiscard]] bool called(const std::string& hook) const;
  [[nodiscard]] std::vector<Error> errors() const;
  [[nodiscard]] std::size_t largest_batch_records() const;
  [[nodiscard]] std::size_t partitions_reading() const;
  // Every batch, kept for a closer look, if asked for before start().
  bool keep_batches = false;
  [[nodiscard]] const RecordBatch* batch_with(PartitionId partition, Offset offset) const;

 private:
  void lane();
  void note(std::string call);

  FakeStore& store_;
  ByteBudget read_;
  ByteBudget write_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::unique_ptr<RecordBatch>> queue_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<RecordBatch>> kept_ GUARDED_BY(mutex_);
  bool committing_ GUARDED_BY(mutex_) = false;
  bool held_ GUARDED_BY(mutex_) = false;
  bool ending_ GUARDED_BY(mutex_) = false;
  std::vector<std::string> calls_ GUARDED_BY(mutex_);
  std::vector<Error> errors_ GUARDED_BY(mutex_);
  std::size_t largest_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<Thread> lane_;
};

}  // namespace penstock::ingest
