// "host:port" as servers take it.
//
// Threads: a pure function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace penstock::control {

struct ListenAddress {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;

  // With brackets where they are needed.
  [[nodiscard]] std::string to_string() const;
};

// "127.0.0.1:7070", "localhost:0", "[::1]:7070", ":7070" (all IPv4 addresses). invalid_argument
// with a hint for everything else.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace penstock::control
