// When a process that was told to end leaves, whatever still hangs.
//
// Place: `penstock serve` asks while the service closes. An orderly end drains for `drain_timeout`
// and then takes a moment more; a server that has frozen can hold it for as long as it likes, and
// an orchestrator's SIGKILL would come without a word about why. Leaving early costs nothing: what
// is not committed will be read again. Threads: one at a time.
#pragma once

#include <chrono>

#include "core/clock.h"

namespace penstock::app {

class ShutdownDeadline {
 public:
  // Beyond the drain: to leave the groups, to stop the servers, to send the last traces. With the
  // moment that the last words take it stays within 10 s.
  static constexpr std::chrono::seconds kGrace{8};
  // Whoever asks a second time does not want to wait for anything.
  static constexpr std::chrono::seconds kHurried{3};

  // Told to end at `begin`; `drain_timeout` is that of the slowest pipeline.
  ShutdownDeadline(SteadyTime begin, std::chrono::milliseconds drain_timeout)
      : begin_(begin), end_(begin + drain_timeout + kGrace) {}

  // Told once more; never puts the end off.
  void hurry(SteadyTime now);
  [[nodiscard]] bool passed(SteadyTime now) const { return now >= end_; }
  // Since it was told to end.
  [[nodiscard]] std::chrono::milliseconds taken(SteadyTime now) const;

 private:
  SteadyTime begin_;
  SteadyTime end_;
};

}  // namespace penstock::app
