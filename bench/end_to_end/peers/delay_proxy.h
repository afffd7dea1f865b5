// A TCP proxy that delivers every byte a fixed time after it came: a database that is far away.
//
// Delays without slowing down: what comes within the delay travels together. The kernel's timers
// add some 0.1 ms. Threads: start() and the destructor from one; four of its own for each
// connection. Failure: start() says why; a connection that breaks on one side is closed on the
// other. Stop: the destructor closes every connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/error.h"

namespace penstock::bench {

class DelayProxy {
 public:
  // In front of a port of 127.0.0.1. A request and its answer together take `round_trip` longer.
  [[nodiscard]] static Result<std::unique_ptr<DelayProxy>> start(
      std::uint16_t upstream_port, std::chrono::microseconds round_trip);
  ~DelayProxy();
  DelayProxy(const DelayProxy&) = delete;
  DelayProxy& operator=(const DelayProxy&) = delete;

  // Of 127.0.0.1.
  [[nodiscard]] std::uint16_t port() const;

 private:
  class Impl;
  explicit DelayProxy(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::bench
