// Network addresses: ip() and cidr().
#include <algorithm>
#include <cstring>
#include <string>

#include "cel/library/addresses.h"
#include "cel/library/library.h"
#include "cel/library/numbers.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

constexpr unsigned kV4Bits = 32;
constexpr unsigned kV6Bits = 128;
constexpr unsigned kV4Offset = kV6Bits - kV4Bits;

const std::uint8_t* keep(EvalContext& context, const Address& address) {
  auto* octets = context.arena.allocate_array<std::uint8_t>(16);
  if (octets != nullptr) std::ranges::copy(address.octets, octets);
  return octets;
}

struct Block {
  Address address;
  std::uint32_t prefix;
};

std::optional<Block> parse_block(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  const auto prefix = parse_uint(digits);
  if (!address || !prefix || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  if (*prefix > (address->is_v4 ? kV4Bits : kV6Bits)) return std::nullopt;
  return Block{*address, static_cast<std::uint32_t>(*prefix)};
}

Value ip(EvalContext& context, Args args) {
  const auto address = parse_address(args[0].as_string());
  if (!address) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"not an IP address: '", args[0].as_string(), "'"});
  }
  const std::uint8_t* octets = keep(context, *address);
  return octets == nullptr ? context.out_of_memory() : Value::of_ip(octets, address->is_v4);
}

Value cidr(EvalContext& context, Args args) {
  const auto block = parse_block(args[0].as_string());
  if (!block) {
    return context.fail(ErrorCode::kInvalidArgument, {"not a CIDR: '", args[0].as_string(), "'"});
  }
  const std::uint8_t* octets = keep(context, block->address);
  if (octets == nullptr) return context.out_of_memory();
  return Value::of_cidr(octets, block->prefix, block->address.is_v4);
}

Value is_ip(EvalContext&, Args args) {
  return Value::of_bool(parse_address(args[0].as_string()).has_value());
}

Value is_cidr(EvalContext&, Args args) {
  return Value::of_bool(parse_block(args[0].as_string()).has_value());
}

Value to_string_of(EvalContext& context, Args args) {
  std::string text;
  append_address(text, args[0]);
  return context.concat(Kind::kString, {text});
}

Value is_canonical(EvalContext& context, Args args) {
  const Value parsed = ip(context, args);
  if (parsed.is_error()) return parsed;
  std::string text;
  append_address(text, parsed);
  return Value::of_bool(text == args[0].as_string());
}

Value family(EvalContext&, Args args) { return Value::of_int(args[0].is_v4() ? 4 : 6); }

// The address's own octets: four or sixteen.
std::span<const std::uint8_t> own_octets(const Value& value) {
  return value.is_v4() ? std::span(value.octets() + 12, 4) : std::span(value.octets(), 16);
}

bool all_zero(std::span<const std::uint8_t> octets) {
  return std::ranges::all_of(octets, [](std::uint8_t o) { return o == 0; });
}

bool unspecified(const Value& value) { return all_zero(own_octets(value)); }

bool loopback(const Value& value) {
  const auto octets = own_octets(value);
  if (value.is_v4()) return octets[0] == 127;
  return octets[15] == 1 && all_zero(octets.first(15));
}

bool multicast(const Value& value) {
  const auto octets = own_octets(value);
  return value.is_v4() ? (octets[0] & 0xF0) == 0xE0 : octets[0] == 0xFF;
}

bool link_local_multicast(const Value& value) {
  const auto octets = own_octets(value);
  if (value.is_v4()) return octets[0] == 224 && octets[1] == 0 && octets[2] == 0;
  return octets[0] == 0xFF && (octets[1] & 0x0F) == 0x02;
}

bool link_local_unicast(const Value& value) {
  const auto octets = own_octets(value);
  if (value.is_v4()) return octets[0] == 169 && octets[1] == 254;
  return octets[0] == 0xFE && (octets[1] & 0xC0) == 0x80;
}

bool global_unicast(const Value& value) {
  const auto octets = own_octets(value);
  const bool broadcast =
      value.is_v4() && std::ranges::all_of(octets, [](std::uint8_t o) { return o == 255; });
  return !broadcast && !unspecified(value) && !loopback(value) && !multicast(value) &&
         !link_local_unicast(value);
}

template <bool (*kTest)(const Value&)>
Value test(EvalContext&, Args args) {
  return Value::of_bool(kTest(args[0]));
}

// Whether the first `bits` of both are the same.
bool same_prefix(const std::uint8_t* a, const std::uint8_t* b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  return bits % 8 == 0 || ((a[whole] ^ b[whole]) >> (8 - bits % 8)) == 0;
}

unsigned prefix_in_v6(const Value& block) {
  return block.prefix_length() + (block.is_v4() ? kV4Offset : 0);
}

bool holds(const Value& block, const Value& address) {
  return block.is_v4() == address.is_v4() &&
         same_prefix(block.octets(), address.octets(), prefix_in_v6(block));
}

Value contains_ip(EvalContext& context, Args args) {
  Value address = args[1];
  if (address.is_string()) address = ip(context, args.subspan(1));
  return address.is_error() ? address : Value::of_bool(holds(args[0], address));
}

Value contains_cidr(EvalContext& context, Args args) {
  Value block = args[1];
  if (block.is_string()) block = cidr(context, args.subspan(1));
  if (block.is_error()) return block;
  return Value::of_bool(block.prefix_length() >= args[0].prefix_length() && holds(args[0], block));
}

Value address_of(EvalContext&, Args args) {
  return Value::of_ip(args[0].octets(), args[0].is_v4());
}

Value masked(EvalContext& context, Args args) {
  Address address;
  std::copy_n(args[0].octets(), 16, address.octets.begin());
  const unsigned bits = prefix_in_v6(args[0]);
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned kept = std::min(8U, bits - std::min(bits, i * 8));
    address.octets[i] = static_cast<std::uint8_t>(address.octets[i] & (0xFF00U >> kept));
  }
  const std::uint8_t* octets = keep(context, address);
  if (octets == nullptr) return context.out_of_memory();
  return Value::of_cidr(octets, args[0].prefix_length(), args[0].is_v4());
}

Value prefix_length(EvalContext&, Args args) { return Value::of_int(args[0].prefix_length()); }

constexpr FunctionRow kRows[] = {
    {"ip(string) -> IP", ip, "A network address, IPv4 or IPv6.", "ip('10.0.0.1').family() == 4"},
    {"ip(IP) -> IP", [](EvalContext&, Args args) { return args[0]; }, "", ""},
    {"isIP(string) -> bool", is_ip, "Whether the text is a network address.", "isIP('10.0.0.1')"},
    {"ip.isCanonical(string) -> bool", is_canonical,
     "Whether the address is written in its shortest form.", "ip.isCanonical('2001:db8::68')"},
    {"string(IP) -> string", to_string_of, "", ""},
    {"string(CIDR) -> string", to_string_of, "", ""},
    {"IP.family() -> int", family, "4 or 6.", "ip('::1').family() == 6"},
    {"IP.isUnspecified() -> bool", test<unspecified>, "0.0.0.0 or ::.", "ip('::').isUnspecified()"},
    {"IP.isLoopback() -> bool", test<loopback>, "127.0.0.0/8 or ::1.",
     "ip('127.0.0.1').isLoopback()"},
    {"IP.isGlobalUnicast() -> bool", test<global_unicast>,
     "An address of one host outside its own link.", "ip('10.0.0.1').isGlobalUnicast()"},
    {"IP.isLinkLocalMulticast() -> bool", test<link_local_multicast>, "224.0.0.0/24 or ff02::/16.",
     "ip('224.0.0.1').isLinkLocalMulticast()"},
    {"IP.isLinkLocalUnicast() -> bool", test<link_local_unicast>, "169.254.0.0/16 or fe80::/10.",
     "ip('fe80::1').isLinkLocalUnicast()"},
    {"cidr(string) -> CIDR", cidr, "A block of addresses.",
     "cidr('10.0.0.0/8').containsIP('10.1.2.3')"},
    {"isCIDR(string) -> bool", is_cidr, "Whether the text is a block of addresses.",
     "isCIDR('10.0.0.0/8')"},
    {"CIDR.containsIP(IP) -> bool", contains_ip, "Whether the address is in the block.",
     "cidr('10.0.0.0/8').containsIP(ip('10.1.2.3'))"},
    {"CIDR.containsIP(string) -> bool", contains_ip, "", ""},
    {"CIDR.containsCIDR(CIDR) -> bool", contains_cidr, "Whether the other block is within it.",
     "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')"},
    {"CIDR.containsCIDR(string) -> bool", contains_cidr, "", ""},
    {"CIDR.ip() -> IP", address_of, "Its address.", "cidr('10.0.0.1/8').ip() == ip('10.0.0.1')"},
    {"CIDR.masked() -> CIDR", masked, "The block with the bits beyond its prefix cleared.",
     "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')"},
    {"CIDR.prefixLength() -> int", prefix_length, "The length of its prefix in bits.",
     "cidr('10.0.0.0/8').prefixLength() == 8"},
};

}  // namespace

std::span<const FunctionRow> network_rows() { return kRows; }

}  // namespace penstock::cel
