// Breaker and backoff: how long to wait after a failure, and when to say that PostgreSQL is away.
//
// Threads: one owner. Time comes as a parameter.
#pragma once

#include <chrono>
#include <cstdint>

#include "concurrency/backoff.h"
#include "core/clock.h"

namespace penstock::write {

class Breaker {
 public:
  struct Options {
    std::chrono::milliseconds backoff_min;
    std::chrono::milliseconds backoff_max;
    std::chrono::milliseconds configuration_max;
    std::chrono::milliseconds refusal_max;
    int failures;                     // opens after this many in a row,
    std::chrono::milliseconds after;  // or when the first of them is this long ago
  };
  Breaker(const Options& options, std::uint64_t seed);

  // Returns whether it opened just now.
  bool failed(SteadyTime now);
  // Opens at once; returns whether it was closed.
  bool trip(SteadyTime now);
  // Returns whether it closed just now.
  bool succeeded();
  [[nodiscard]] bool open() const { return open_; }

  // How long to wait before the next try.
  [[nodiscard]] std::chrono::milliseconds delay() { return backoff_.next(); }
  // After a deadlock or a serialization failure, which say nothing about PostgreSQL's health.
  [[nodiscard]] std::chrono::milliseconds quick_delay() { return quick_.next(); }
  // After what mostly takes a person: schema, grants, credentials.
  [[nodiscard]] std::chrono::milliseconds configuration_delay() { return configuration_.next(); }
  // While a table refuses everything.
  [[nodiscard]] std::chrono::milliseconds refusal_delay() { return refusal_.next(); }

 private:
  Options options_;
  Backoff backoff_;
  Backoff quick_;
  Backoff configuration_;
  Backoff refusal_;
  int failures_ = 0;
  SteadyTime first_failure_{};
  bool open_ = false;
};

}  // namespace penstock::write
