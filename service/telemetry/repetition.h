// Decides which of many equal log events are written.
//
// "Equal" is the event's name and its `pipeline`, `topic`, `partition` and `lane` fields. Of equal
// events `burst` pass in a window that begins with the first one; the rest are counted and handed
// out once the window has ended. Memory: at most kMaxKeys are told apart at a time; what comes
// beyond shares one window. Threads: not thread-safe; logging.cc holds a mutex around it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/log.h"

namespace penstock::telemetry {

class RepetitionLimiter {
 public:
  static constexpr std::size_t kMaxKeys = 1000;

  struct Suppressed {
    std::string event;
    std::vector<LogField> scope;  // the fields that told it apart
    std::uint64_t count = 0;
  };

  RepetitionLimiter(std::size_t burst, std::chrono::milliseconds window)
      : burst_(burst), window_(window) {}

  // True when the event shall be written. Windows that have ended are moved to `ended`.
  [[nodiscard]] bool admit(std::string_view event, std::span<const LogField> fields, SteadyTime now,
                           std::vector<Suppressed>& ended);
  // Moves the windows that have ended by `now` to `ended`.
  void collect(SteadyTime now, std::vector<Suppressed>& ended);
  // Moves every count to `ended`, whether or not its window is over.
  void collect_all(std::vector<Suppressed>& ended);

 private:
  struct Window {
    SteadyTime begin;
    std::size_t passed = 0;
    Suppressed suppressed;
  };

  std::size_t burst_;
  std::chrono::milliseconds window_;
  std::unordered_map<std::string, Window> windows_;
  SteadyTime next_collect_{};
};

}  // namespace penstock::telemetry
