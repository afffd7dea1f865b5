// "host:port" as servers take it, and which hosts nobody but this machine can reach.
//
// Who uses it: the configuration's rules and the servers of control/, so that what one accepts the
// other does, too. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace penstock {

struct ListenAddress {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;

  // With brackets where they are needed.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// "127.0.0.1:7070", "localhost:0", "[::1]:7070", ":7070" (all IPv4 addresses). invalid_argument
// with a hint for everything else.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

// "localhost", 127.0.0.0/8 and ::1, with or without brackets. Nobody is asked: another name is not.
[[nodiscard]] bool is_loopback(std::string_view host);

}  // namespace penstock
