// A count of bytes against a limit: the whole of backpressure, without a wait in it.
//
// Place in the flow: ingest charges what it takes in and asks over()/below_low_water(); whoever
// destroys a batch releases it. A pipeline has two: the read share (RecordBatch::footprint_bytes)
// and the write share (RowBatch::footprint_bytes), so that a full read side cannot starve the write
// side that would drain it.
// Rule: admit while not over(), and always when used() is 0: an item larger than the limit is then
// taken alone instead of never.
// Threads: any thread may call anything; nothing blocks.
#pragma once

#include <atomic>
#include <cstddef>

namespace penstock {

class ByteBudget {
 public:
  explicit ByteBudget(std::size_t limit_bytes) : limit_(limit_bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // May go over the limit: the caller asked over() before, and an oversized item must get through.
  void charge(std::size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  // Gives back what was charged, never more. Release order: whoever sees used() drop also sees what
  // the releasing thread did before.
  void release(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_release); }

  [[nodiscard]] std::size_t used() const { return used_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t limit() const { return limit_; }
  [[nodiscard]] bool over() const { return used() >= limit_; }
  // Where intake begins again after it was over: a quarter of slack keeps pause and resume from
  // alternating with every batch.
  [[nodiscard]] bool below_low_water() const { return used() <= limit_ - limit_ / 4; }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace penstock
