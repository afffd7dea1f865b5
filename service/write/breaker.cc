#include "write/breaker.h"

#include <algorithm>

namespace penstock::write {

bool Breaker::failed(SteadyTime now) {
  if (failures_ == 0) first_failure_ = now;
  ++failures_;
  if (open_ || (failures_ < options_.failures && now - first_failure_ < options_.after)) {
    return false;
  }
  open_ = true;
  return true;
}

bool Breaker::succeeded() {
  failures_ = 0;
  const bool was_open = open_;
  open_ = false;
  return was_open;
}

std::chrono::microseconds Breaker::delay() {
  std::chrono::microseconds limit = options_.backoff_min;
  for (int i = 1; i < failures_ && limit < options_.backoff_max; ++i) limit *= 2;
  return up_to(std::min<std::chrono::microseconds>(limit, options_.backoff_max));
}

std::chrono::microseconds Breaker::quick_delay(std::uint32_t tries) {
  using std::chrono::milliseconds;
  return up_to(std::min<std::chrono::microseconds>(milliseconds(1) * (1U << std::min(tries, 10U)),
                                                   milliseconds(200)));
}

std::chrono::microseconds Breaker::up_to(std::chrono::microseconds limit) {
  return std::chrono::microseconds(
      std::uniform_int_distribution<std::int64_t>(0, limit.count())(random_));
}

}  // namespace penstock::write
