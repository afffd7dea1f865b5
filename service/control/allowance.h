// So much a second, with a reserve for a burst; who takes more than there is makes a debt.
//
// Place in the flow: grpc_door.h has one for all its connections. Threads: one. Pure: the clock is
// the caller's.
#pragma once

#include <algorithm>
#include <chrono>

#include "core/clock.h"

namespace penstock::control {

class Allowance {
 public:
  Allowance(double per_second, double burst, SteadyTime now)
      : per_second_(per_second), burst_(burst), left_(burst), at_(now) {}

  [[nodiscard]] bool has_any(SteadyTime now) {
    refill(now);
    return left_ > 0;
  }
  void take(double amount, SteadyTime now) {
    refill(now);
    left_ -= amount;
  }
  // When there will be some again.
  [[nodiscard]] SteadyTime next(SteadyTime now) {
    refill(now);
    if (left_ > 0) return now;
    return now + std::chrono::ceil<SteadyTime::duration>(
                     std::chrono::duration<double>((1 - left_) / per_second_));
  }

 private:
  void refill(SteadyTime now) {
    const std::chrono::duration<double> passed = now - at_;
    left_ = std::min(burst_, left_ + passed.count() * per_second_);
    at_ = now;
  }

  double per_second_;
  double burst_;
  double left_;
  SteadyTime at_;
};

}  // namespace penstock::control
