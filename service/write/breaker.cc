#include "write/breaker.h"

#include <utility>

namespace penstock::write {

using std::chrono::milliseconds;

Breaker::Breaker(const Options& options, std::uint64_t seed)
    : options_(options),
      backoff_({.base = options.backoff_min, .cap = options.backoff_max, .floor = milliseconds(2)},
               seed),
      quick_({.base = milliseconds(2), .cap = milliseconds(200), .floor = milliseconds(0)}, ~seed),
      configuration_(
          {.base = milliseconds(200), .cap = options.configuration_max, .floor = milliseconds(50)},
          seed + 1),
      refusal_({.base = milliseconds(500), .cap = options.refusal_max, .floor = milliseconds(50)},
               seed + 2) {}

bool Breaker::failed(SteadyTime now) {
  if (failures_ == 0) first_failure_ = now;
  ++failures_;
  if (open_ || (failures_ < options_.failures && now - first_failure_ < options_.after)) {
    return false;
  }
  open_ = true;
  return true;
}

bool Breaker::trip(SteadyTime now) {
  if (failures_ == 0) first_failure_ = now;
  ++failures_;
  return !std::exchange(open_, true);
}

bool Breaker::succeeded() {
  failures_ = 0;
  backoff_.reset();
  quick_.reset();
  configuration_.reset();
  refusal_.reset();
  const bool was_open = open_;
  open_ = false;
  return was_open;
}

}  // namespace penstock::write
