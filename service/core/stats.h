// Counters and latency histograms that stages update and telemetry reads.
//
// Threads: any thread may update and read; reads are not a consistent cut across several values.
// Cost: one relaxed atomic add; stages call once per batch, not once per record, where they can.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace penstock {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Log-linear histogram over microseconds: four buckets per power of two (a reading is at most
// 25 % off), 1 µs to about 19 hours; like HdrHistogram with two significant bits.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 36 * 4;

  // Bucket of a duration in microseconds; negative ones (clock skew) count as 0.
  [[nodiscard]] static constexpr std::size_t bucket_of(std::int64_t us) {
    if (us < 4) return us < 0 ? 0 : static_cast<std::size_t>(us);
    const auto value = static_cast<std::uint64_t>(us);
    const auto exponent = static_cast<std::size_t>(std::bit_width(value)) - 1;  // >= 2
    const std::size_t bucket = (exponent - 1) * 4 + ((value >> (exponent - 2)) & 3U);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // First microsecond that does NOT belong to the bucket.
  [[nodiscard]] static constexpr std::int64_t upper_bound_us(std::size_t bucket) {
    if (bucket < 4) return static_cast<std::int64_t>(bucket) + 1;
    const std::size_t exponent = bucket / 4 + 1;
    return static_cast<std::int64_t>((std::uint64_t{5} + bucket % 4) << (exponent - 2));
  }

  void record(std::chrono::microseconds latency, std::uint64_t count = 1) {
    buckets_[bucket_of(latency.count())].fetch_add(count, std::memory_order_relaxed);
    if (latency.count() > 0) {
      sum_us_.fetch_add(static_cast<std::uint64_t>(latency.count()) * count,
                        std::memory_order_relaxed);
    }
  }

  struct Snapshot {
    std::array<std::uint64_t, kBuckets> counts{};
    std::uint64_t sum_us = 0;

    [[nodiscard]] std::uint64_t total() const {
      std::uint64_t total = 0;
      for (const std::uint64_t count : counts) total += count;
      return total;
    }
  };
  // Folds in what a loop has counted locally.
  void add(const Snapshot& counted) {
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (counted.counts[i] > 0) {
        buckets_[i].fetch_add(counted.counts[i], std::memory_order_relaxed);
      }
    }
    sum_us_.fetch_add(counted.sum_us, std::memory_order_relaxed);
  }
  [[nodiscard]] Snapshot snapshot() const {
    Snapshot copy;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      copy.counts[i] = buckets_[i].load(std::memory_order_relaxed);
    }
    copy.sum_us = sum_us_.load(std::memory_order_relaxed);
    return copy;
  }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> sum_us_{0};
};

}  // namespace penstock
