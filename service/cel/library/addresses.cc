#include "cel/library/addresses.h"

#include <algorithm>
#include <charconv>

namespace penstock::cel {
namespace {

constexpr std::size_t kGroups = 8;

std::optional<Address> parse_v4(std::string_view text) {
  Address address;
  address.is_v4 = true;
  address.octets[10] = address.octets[11] = 0xFF;
  for (std::size_t i = 12; i < 16; ++i) {
    const std::size_t end = i < 15 ? text.find('.') : text.size();
    if (end == std::string_view::npos || end == 0 || end > 3) return std::nullopt;
    unsigned octet = 0;
    for (const char c : text.substr(0, end)) {
      if (c < '0' || c > '9') return std::nullopt;
      octet = octet * 10 + static_cast<unsigned>(c - '0');
    }
    if (octet > 255 || (end > 1 && text[0] == '0')) return std::nullopt;
    address.octets[i] = static_cast<std::uint8_t>(octet);
    text.remove_prefix(i < 15 ? end + 1 : end);
  }
  return address;
}

// Groups of 16 bits between colons; false: malformed or too many.
bool parse_groups(std::string_view text, std::array<unsigned, kGroups>& out, std::size_t& count) {
  count = 0;
  if (text.empty()) return true;
  for (;;) {
    const std::size_t end = std::min(text.find(':'), text.size());
    if (count == kGroups || end == 0 || end > 4) return false;
    const auto [at, status] = std::from_chars(text.data(), text.data() + end, out[count], 16);
    if (status != std::errc() || at != text.data() + end) return false;
    ++count;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

std::optional<Address> parse_v6(std::string_view text) {
  std::array<unsigned, kGroups> head{};
  std::array<unsigned, kGroups> tail{};
  std::size_t head_count = 0;
  std::size_t tail_count = 0;
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (!parse_groups(text, head, head_count) || head_count != kGroups) return std::nullopt;
  } else if (!parse_groups(text.substr(0, gap), head, head_count) ||
             !parse_groups(text.substr(gap + 2), tail, tail_count) ||
             head_count + tail_count >= kGroups) {
    return std::nullopt;
  }
  Address address;
  const auto put = [&](std::size_t group, unsigned value) {
    address.octets[2 * group] = static_cast<std::uint8_t>(value >> 8);
    address.octets[2 * group + 1] = static_cast<std::uint8_t>(value & 0xFF);
  };
  for (std::size_t i = 0; i < head_count; ++i) put(i, head[i]);
  for (std::size_t i = 0; i < tail_count; ++i) put(kGroups - tail_count + i, tail[i]);
  return address;
}

void append_v6(std::string& out, const std::uint8_t* octets) {
  std::array<unsigned, kGroups> groups{};
  for (std::size_t i = 0; i < kGroups; ++i) groups[i] = octets[2 * i] * 256U + octets[2 * i + 1];
  // The first of the longest runs of at least two zero groups becomes "::".
  std::size_t best = kGroups;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < kGroups; ++i) {
    std::size_t length = 0;
    while (i + length < kGroups && groups[i + length] == 0) ++length;
    if (length > best_length) {
      best = i;
      best_length = length;
    }
  }
  bool separated = true;
  for (std::size_t i = 0; i < kGroups; ++i) {
    if (i == best) {
      out += "::";
      separated = true;
      i += best_length - 1;
      continue;
    }
    if (!separated) out += ':';
    separated = false;
    std::array<char, 8> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), groups[i], 16);
    out.append(buffer.data(), end.ptr);
  }
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_v4(text) : parse_v6(text);
}

void append_address(std::string& out, const Value& value) {
  const std::uint8_t* octets = value.octets();
  if (value.is_v4()) {
    for (int i = 12; i < 16; ++i) {
      if (i > 12) out += '.';
      out += std::to_string(octets[i]);
    }
  } else {
    append_v6(out, octets);
  }
  if (value.is_cidr()) out += "/" + std::to_string(value.prefix_length());
}

}  // namespace penstock::cel
