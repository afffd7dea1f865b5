// Packs the records of one claimed partition into batches and keeps count of them in the budget.
//
// Place in the flow: between librdkafka's messages and on_batch; one per chain.
// Threads: the poll thread only.
// Invariant: an open batch is charged; what take() returns is charged with exactly its
// footprint_bytes(); what is discarded is released.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "concurrency/byte_budget.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/record_batch.h"

namespace penstock::ingest {

class BatchBuilder {
 public:
  struct Limits {
    std::size_t bytes = 0;
    std::size_t records = 0;
  };

  BatchBuilder(PartitionId partition, Epoch epoch, Offset next, Limits limits, ByteBudget& budget);
  ~BatchBuilder();  // discard()
  BatchBuilder(const BatchBuilder&) = delete;
  BatchBuilder& operator=(const BatchBuilder&) = delete;

  // False: take() first, then the record gets a batch of its own.
  [[nodiscard]] bool fits(std::size_t bytes) const {
    return !open_ || open_->size() == 0 || open_->used_bytes() + bytes <= limits_.bytes;
  }
  // `offset` must not be below next(). `taken` is when it came from librdkafka.
  void add(Offset offset, std::int64_t timestamp_ms, std::optional<std::string_view> key,
           std::optional<std::string_view> value, SteadyTime taken);
  // A header of the record that was added last.
  void add_header(std::string_view name, std::optional<std::string_view> value);
  // The log was read up to here; opens a batch without records if that moves the range.
  void extend_to(Offset to, SteadyTime taken);

  [[nodiscard]] bool open() const { return open_ != nullptr; }
  [[nodiscard]] bool full() const {
    return open_ && (open_->used_bytes() >= limits_.bytes || open_->size() >= limits_.records);
  }
  // The open batch, for its trace; null when there is none.
  [[nodiscard]] RecordBatch* current() { return open_.get(); }

  // Closes the open batch and gives it away; null when there is none.
  [[nodiscard]] std::unique_ptr<RecordBatch> take(SteadyTime now);
  void discard();

  // First offset that was not taken in yet.
  [[nodiscard]] Offset next() const { return next_; }
  // First offset that was not given away yet.
  [[nodiscard]] Offset handed_on() const { return open_ ? open_->range().from : next_; }

 private:
  void begin(std::size_t bytes, SteadyTime taken);

  const PartitionId partition_;
  const Epoch epoch_;
  const Limits limits_;
  ByteBudget& budget_;
  Offset next_;
  std::unique_ptr<RecordBatch> open_;
  std::size_t charged_ = 0;
  // What the last batch needed: light traffic then neither allocates nor charges for a full one.
  std::size_t expected_bytes_ = 0;
  std::size_t expected_records_ = 0;
};

}  // namespace penstock::ingest
