// A connection to a server of this process, for raw bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

// Sends the bytes and reads until the server closes. With `patience`, the end of the stream is sent
// too, once nothing has come for so long: a server need not answer then. The connection is reset at
// the end, so that none waits for its ports. A finding: it does not close within ten seconds.
[[nodiscard]] std::string send_to_port(
    std::uint16_t port, std::string_view bytes,
    std::optional<std::chrono::milliseconds> patience = std::nullopt);

}  // namespace penstock
