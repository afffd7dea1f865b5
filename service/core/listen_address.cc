#include "core/listen_address.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <system_error>

namespace penstock {

std::string ListenAddress::to_string() const {
  return host.contains(':') ? std::format("[{}]:{}", host, port) : std::format("{}:{}", host, port);
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorKind::invalid_argument,
                std::format("\"{}\" is not an address: {}", text, what),
                "write host:port, for example 127.0.0.1:8080 or [::1]:8080");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");

  ListenAddress address;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size()) {
    return wrong("the port is not a number from 0 to 65535");
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (!host.contains(':')) return wrong("brackets are for IPv6 addresses");
  } else if (host.contains(':') || host.contains('[') || host.contains(']')) {
    return wrong("an IPv6 address stands in brackets");
  }
  address.host = host.empty() ? "0.0.0.0" : std::string(host);
  return address;
}

bool is_loopback(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  if (std::ranges::equal(host, std::string_view("localhost"), same) || host == "::1") return true;
  // "127.example.com" is somebody's name.
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

}  // namespace penstock
