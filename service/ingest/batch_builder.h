// Packs the records of one chain into batches and keeps count of them in its pipeline's account.
//
// Place in the flow: between librdkafka's messages and the next stage; one per chain.
// Threads: its poller's only.
// Invariant: an open batch is charged from its beginning on; what take() returns is charged with
// exactly its footprint_bytes() and counts as in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/chain.h"
#include "core/charge.h"
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

  BatchBuilder(std::shared_ptr<Chain> chain, Offset next, Limits limits, InFlight& account)
      : chain_(std::move(chain)), limits_(limits), account_(account), next_(next) {}
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
  // The open batch, for what only the poll loop knows of it; null when there is none.
  [[nodiscard]] RecordBatch* current() { return open_.get(); }

  // Closes the open batch and gives it away; null when there is none.
  [[nodiscard]] std::unique_ptr<RecordBatch> take(SteadyTime now);

  // First offset that was not taken in yet.
  [[nodiscard]] Offset next() const { return next_; }
  // First offset that was not given away yet.
  [[nodiscard]] Offset position() const { return open_ ? open_->range().from : next_; }

 private:
  void begin(std::size_t bytes, SteadyTime taken);

  const std::shared_ptr<Chain> chain_;
  const Limits limits_;
  InFlight& account_;
  Offset next_;
  std::unique_ptr<RecordBatch> open_;
  // What the last batch needed: light traffic then neither allocates nor charges for a full one.
  std::size_t expected_bytes_ = 0;
  std::size_t expected_records_ = 0;
};

}  // namespace penstock::ingest
