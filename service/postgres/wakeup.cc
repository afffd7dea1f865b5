#include "postgres/wakeup.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace penstock::postgres {

Wakeup::Wakeup(const Clock& clock)
    : clock_(clock), event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  beat();
}

Wakeup::~Wakeup() { ::close(event_fd_); }

void Wakeup::wake() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the waiter wakes anyway.
  [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
}

void Wakeup::stop() {
  stopped_.store(true, std::memory_order_release);
  wake();
}

short Wakeup::wait(int fd, short events, SteadyTime deadline) {
  beat();
  const SteadyTime now = clock_.steady_now();
  const auto left = std::clamp<SteadyTime::duration>(deadline - now, SteadyTime::duration::zero(),
                                                     std::chrono::milliseconds(500));
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  const timespec timeout{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  std::array<pollfd, 2> fds{pollfd{.fd = event_fd_, .events = POLLIN, .revents = 0},
                            pollfd{.fd = fd, .events = events, .revents = 0}};
  const int ready = ::ppoll(fds.data(), fd >= 0 ? 2 : 1, &timeout, nullptr);
  beat();
  if (ready <= 0) return 0;
  if (fds[0].revents != 0 && !stopped()) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(event_fd_, &count, sizeof count);
  }
  return fd >= 0 ? fds[1].revents : short{0};
}

void Wakeup::beat() {
  heartbeat_.store(clock_.steady_now().time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace penstock::postgres
