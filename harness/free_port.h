// A TCP port of 127.0.0.1 that nobody listens on right now.
//
// Taken at random from below the range that the kernel gives to outgoing connections, so that a
// server which is restarted on its port still finds it free. Threads: any.
#pragma once

#include <cstdint>

#include "core/error.h"

namespace penstock::harness {

[[nodiscard]] Result<std::uint16_t> free_port();

}  // namespace penstock::harness
