// Network addresses and blocks as text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cel/value.h"

namespace penstock::cel {

struct Address {
  std::array<std::uint8_t, 16> octets{};  // IPv4 as ::ffff:a.b.c.d
  bool is_v4 = false;
};

// Strict: no leading zeros in IPv4, no zone, no IPv4 written inside IPv6.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

// In canonical form (RFC 5952); a cidr with "/length".
void append_address(std::string& out, const Value& ip_or_cidr);

}  // namespace penstock::cel
