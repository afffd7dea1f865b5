#include "concurrency/backoff.h"

#include <algorithm>

namespace penstock {

std::chrono::milliseconds Backoff::next() {
  std::chrono::milliseconds ceiling = options_.base;
  for (unsigned i = 0; i < attempts_ && ceiling < options_.cap; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, options_.cap);
  ++attempts_;
  const auto most = std::max<std::int64_t>(ceiling.count(), 1);
  const std::chrono::milliseconds drawn(
      std::uniform_int_distribution<std::int64_t>(0, most - 1)(generator_));
  return std::max(drawn, std::min(options_.floor, options_.cap));
}

}  // namespace penstock
