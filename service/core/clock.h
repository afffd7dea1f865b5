// Time as a parameter, so that tests decide what time it is.
//
// Durations are measured on `SteadyTime`; `SystemTime` is only for what people and Kafka see.
// Threads: a Clock may be asked by any thread. It must outlive whoever holds a reference.
#pragma once

#include <chrono>

namespace penstock {

using SteadyTime = std::chrono::steady_clock::time_point;
using SystemTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual SteadyTime steady_now() const { return std::chrono::steady_clock::now(); }
  [[nodiscard]] virtual SystemTime system_now() const { return std::chrono::system_clock::now(); }
};

// The machine's own clock.
[[nodiscard]] inline const Clock& system_clock() {
  static const Clock clock;
  return clock;
}

}  // namespace penstock
