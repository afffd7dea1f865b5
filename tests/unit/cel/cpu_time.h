// The CPU time of this thread, which a busy machine does not change.
#pragma once

#include <ctime>

namespace penstock::cel {

class CpuTime {
 public:
  // Of an optimized build: the others do the same work several times slower.
  [[nodiscard]] double seconds() const {
#ifdef NDEBUG
    constexpr double kSlower = 1;
#else
    constexpr double kSlower = 10;
#endif
    return (now() - start_) / kSlower;
  }

 private:
  static double now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }

  double start_ = now();
};

}  // namespace penstock::cel
