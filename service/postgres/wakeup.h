// Wakeup: what a blocked lane thread listens to besides its socket, and how it shows that it lives.
//
// Threads: wake(), stop(), stopped() and heartbeat() from any thread; wait() from the lane's only.
// Stop: after stop() every wait returns at once, for good.
#pragma once

#include <atomic>
#include <chrono>

#include "core/clock.h"

namespace penstock::postgres {

class Wakeup {
 public:
  explicit Wakeup(const Clock& clock);
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // Ends the current or the next wait.
  void wake();
  void stop();
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  // Waits until `fd` (left out when negative) is ready for `events` (as poll(2)), someone wakes, or
  // `deadline` passes. Returns the events that are there, 0 if it ended for another reason. Returns
  // at least every half second, which keeps the heartbeat young.
  short wait(int fd, short events, SteadyTime deadline);

  void beat();
  [[nodiscard]] SteadyTime heartbeat() const {
    return SteadyTime(SteadyTime::duration(heartbeat_.load(std::memory_order_relaxed)));
  }

 private:
  const Clock& clock_;
  int event_fd_;
  std::atomic<bool> stopped_{false};
  std::atomic<SteadyTime::rep> heartbeat_;
};

}  // namespace penstock::postgres
