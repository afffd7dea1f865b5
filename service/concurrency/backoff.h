// Exponential backoff with full jitter: the n-th delay is uniform in [0, min(cap, base · 2ⁿ)).
//
// Full jitter spreads many clients over the whole interval, so that a database that comes back is
// not met by all of them at once
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Threads: one owner.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace penstock {

class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds base{100};
    std::chrono::milliseconds cap{10'000};
    // At least this much, so that a run of small draws does not become a busy loop.
    std::chrono::milliseconds floor{10};
  };

  // Seeded from the system; tests give a seed and get the same delays again.
  Backoff() : Backoff(Options{}) {}
  explicit Backoff(Options options) : Backoff(options, std::random_device{}()) {}
  Backoff(Options options, std::uint64_t seed) : options_(options), generator_(seed) {}

  // The delay before the next try.
  [[nodiscard]] std::chrono::milliseconds next();
  // After a success.
  void reset() { attempts_ = 0; }

 private:
  Options options_;
  std::mt19937_64 generator_;
  unsigned attempts_ = 0;
};

}  // namespace penstock
