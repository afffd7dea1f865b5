#include "app/shutdown_deadline.h"

#include <algorithm>

namespace penstock::app {

void ShutdownDeadline::hurry(SteadyTime now) { end_ = std::min<SteadyTime>(end_, now + kHurried); }

std::chrono::milliseconds ShutdownDeadline::taken(SteadyTime now) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - begin_);
}

}  // namespace penstock::app
