#include "compute/encode/network_encoder.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <format>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cel/library/addresses.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"
#include "text/hex.h"

namespace penstock::compute {
namespace {

using cel::Value;

constexpr std::size_t kV4Begin = 12;  // of ::ffff:a.b.c.d

struct Network {
  cel::Address address;
  unsigned bits = 0;
};

// Also "::ffff:192.0.2.1", which PostgreSQL reads and the language does not.
std::optional<cel::Address> read_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !text.contains('.')) return cel::parse_address(text);
  const auto tail = cel::parse_address(text.substr(colon + 1));
  auto address = cel::parse_address(std::string(text.substr(0, colon + 1)) + "0:0");
  if (!tail || !address) return std::nullopt;
  std::copy(tail->octets.begin() + kV4Begin, tail->octets.end(),
            address->octets.begin() + kV4Begin);
  return address;
}

// "ADDRESS" or "ADDRESS/BITS".
std::optional<Network> read_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = read_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  Network network{*address, address->is_v4 ? 32U : 128U};
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (digits.empty() || status != std::errc() || end != digits.data() + digits.size() ||
      bits > network.bits) {
    return std::nullopt;
  }
  network.bits = bits;
  return network;
}

Network network_of(const Value& value) {
  Network network;
  std::copy_n(value.octets(), 16, network.address.octets.begin());
  network.address.is_v4 = value.is_v4();
  network.bits = value.is_cidr() ? value.prefix_length() : value.is_v4() ? 32 : 128;
  return network;
}

// Behind the first `bits` nothing is set.
bool is_block(std::span<const std::uint8_t> octets, unsigned bits) {
  for (const std::uint8_t octet : octets) {
    const unsigned kept = std::min(bits, 8U);
    if ((octet & (0xFFU >> kept)) != 0) return false;
    bits -= kept;
  }
  return true;
}

// Octets in hexadecimal: how many, 0 if there is anything else. Between groups of equally many
// digits stands always the same of : - . or nothing.
std::size_t read_octets(std::string_view text, std::span<std::uint8_t> octets) {
  const std::size_t group = std::min(text.find_first_of(":-."), text.size());
  const char separator = group < text.size() ? text[group] : '\0';
  if (group == 0 || group % 2 != 0) return 0;
  // As macaddr_in(): 08:00:2b:…, 08-00-2b-…, 0800.2b01.0203, 0800-2b01-0203, 08002b:010203.
  const std::string_view separators = group == 4 ? ".-" : ":-";
  if (separator != '\0' && (group > 6 || !separators.contains(separator))) return 0;
  std::size_t count = 0;
  for (std::size_t digits = 0; !text.empty(); digits += 2) {
    if (separator != '\0' && digits > 0 && digits % group == 0) {
      if (text[0] != separator) return 0;
      text.remove_prefix(1);
    }
    if (text.size() < 2 || count == octets.size()) return 0;
    const int high = text::hex_digit(text[0]);
    const int low = text::hex_digit(text[1]);
    if (high < 0 || low < 0) return 0;
    octets[count++] = static_cast<std::uint8_t>(high << 4 | low);
    text.remove_prefix(2);
  }
  return count * 2 % group == 0 ? count : 0;
}

}  // namespace

bool encode_inet(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  Network network;
  if (value.is_string()) {
    const auto read = read_network(value.as_string());
    if (!read) {
      return refuse(problem, "invalid_address",
                    "not an address such as \"192.0.2.1\" or \"2001:db8::/32\"");
    }
    network = *read;
  } else if (value.is_ip() || value.is_cidr()) {
    network = network_of(value);
  } else {
    return refuse_type(column, value, problem);
  }
  const bool is_v4 = network.address.is_v4;
  const auto octets = std::span(network.address.octets).subspan(is_v4 ? kV4Begin : 0);
  const bool is_cidr = column.type == ColumnType::cidr;
  if (is_cidr && !is_block(octets, network.bits)) {
    return refuse(problem, "invalid_address",
                  std::format("the address has bits behind the first {}, which a cidr cannot have",
                              network.bits),
                  "use an inet column, or cidr(...).masked()");
  }
  constexpr std::uint8_t kFamilyV4 = 2;  // PGSQL_AF_INET, PGSQL_AF_INET6
  constexpr std::uint8_t kFamilyV6 = 3;
  const std::size_t size = 4 + octets.size();
  char* at = store(out.extend(sizeof(std::int32_t) + size), static_cast<std::int32_t>(size));
  at = store(at, is_v4 ? kFamilyV4 : kFamilyV6);
  at = store(at, static_cast<std::uint8_t>(network.bits));
  at = store(at, static_cast<std::uint8_t>(is_cidr ? 1 : 0));
  at = store(at, static_cast<std::uint8_t>(octets.size()));
  std::memcpy(at, octets.data(), octets.size());
  return true;
}

bool encode_macaddr(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                    EncodeProblem& problem) {
  if (!value.is_string()) return refuse_type(column, value, problem);
  const std::size_t wanted = column.type == ColumnType::macaddr8 ? 8 : 6;
  std::uint8_t octets[8] = {};
  std::size_t size = read_octets(value.as_string(), octets);
  if (size == 6 && wanted == 8) {  // as macaddr8_in() does
    std::copy_backward(octets + 3, octets + 6, octets + 8);
    octets[3] = 0xFF;
    octets[4] = 0xFE;
    size = 8;
  }
  if (size != wanted) {
    return refuse(problem, "invalid_address",
                  std::format("not an address of {} bytes such as \"08:00:2b:01:02:03{}\"", wanted,
                              wanted == 8 ? ":04:05" : ""));
  }
  char* const at = store(out.extend(sizeof(std::int32_t) + size), static_cast<std::int32_t>(size));
  std::memcpy(at, octets, size);
  return true;
}

}  // namespace penstock::compute
