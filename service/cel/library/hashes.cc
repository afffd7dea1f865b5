// Hashes, and the identifiers made of them: the same input gives the same text, always.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cel/library/library.h"
#include "text/hex.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

// A digest costs about as much as this many steps before its first byte.
constexpr std::uint64_t kStepsPerDigest = 40;
constexpr std::size_t kBytesPerStep = 4;

constexpr std::size_t kSha1Bytes = 20;
constexpr std::size_t kSha256Bytes = 32;
constexpr std::size_t kUuidBytes = 16;
constexpr std::size_t kUuidText = 36;
using Uuid = std::array<std::uint8_t, kUuidBytes>;

std::string_view bytes_of(const Value& value) {
  return value.is_string() ? value.as_string() : value.as_bytes();
}

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  text::append_hex(out, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// False: OpenSSL has no memory.
template <std::size_t kBytes>
bool digest(const EVP_MD* algorithm, std::string_view text, std::array<std::uint8_t, kBytes>& out) {
  return EVP_Digest(text.data(), text.size(), out.data(), nullptr, algorithm, nullptr) == 1;
}

Value xxh64(EvalContext& context, Args args) {
  const std::string_view text = bytes_of(args[0]);
  XXH64_canonical_t hash;
  XXH64_canonicalFromHash(&hash, XXH64(text.data(), text.size(), 0));
  std::string hex;
  append_hex(hex, hash.digest);
  return context.concat(Kind::kString, {hex});
}

Value sha256(EvalContext& context, Args args) {
  const std::string_view text = bytes_of(args[0]);
  if (!context.charge(kStepsPerDigest + text.size() / kBytesPerStep)) return context.out_of_steps();
  std::array<std::uint8_t, kSha256Bytes> hash;
  if (!digest(EVP_sha256(), text, hash)) return context.out_of_memory();
  std::string hex;
  append_hex(hex, hash);
  return context.concat(Kind::kString, {hex});
}

bool has_dash_at(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != kUuidText) return std::nullopt;
  Uuid uuid{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (has_dash_at(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int digit = text::hex_digit(text[i]);
    if (digit < 0) return std::nullopt;
    std::uint8_t& byte = uuid[digits++ / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | digit);
  }
  return uuid;
}

// RFC 9562, section 6.6.
std::optional<Uuid> find_namespace(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"dns", "url", "oid", "x500"};
  constexpr std::array<std::uint8_t, 4> kFourthBytes = {0x10, 0x11, 0x12, 0x14};
  const auto* const at = std::ranges::find(kNames, name);
  if (at == kNames.end()) return parse_uuid(name);
  Uuid uuid = *parse_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  uuid[3] = kFourthBytes[static_cast<std::size_t>(at - kNames.begin())];
  return uuid;
}

// RFC 9562, section 5.5.
Value uuid_v5(EvalContext& context, Args args) {
  const std::string_view name = args[1].as_string();
  if (!context.charge(kStepsPerDigest + name.size() / kBytesPerStep)) return context.out_of_steps();
  const auto space = find_namespace(args[0].as_string());
  if (!space) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"not a namespace: '", args[0].as_string(),
                         "'; expected a UUID, or 'dns', 'url', 'oid' or 'x500'"});
  }
  std::string hashed(space->begin(), space->end());
  hashed += name;
  std::array<std::uint8_t, kSha1Bytes> hash;
  if (!digest(EVP_sha1(), hashed, hash)) return context.out_of_memory();
  hash[6] = static_cast<std::uint8_t>(0x50 | (hash[6] & 0x0F));  // the version
  hash[8] = static_cast<std::uint8_t>(0x80 | (hash[8] & 0x3F));  // the variant
  std::string text;
  append_hex(text, std::span(hash).first(kUuidBytes));
  for (const std::size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
  return context.concat(Kind::kString, {text});
}

constexpr FunctionRow kRows[] = {
    {"hash.xxh64(string) -> string", xxh64,
     "The XXH64 hash (seed 0) of the bytes in 16 hexadecimal digits: quick, not for secrets.",
     "hash.xxh64('order-17') == '93623b80df3c7a2d'"},
    {"hash.xxh64(bytes) -> string", xxh64, "", ""},
    {"hash.sha256(string) -> string", sha256,
     "The SHA-256 hash of the bytes in 64 hexadecimal digits.",
     "hash.sha256('abc').startsWith('ba7816bf8f01cfea')"},
    {"hash.sha256(bytes) -> string", sha256, "", ""},
    {"uuid.v5(string, string) -> string", uuid_v5,
     "The UUID of a name in a namespace: a UUID, or 'dns', 'url', 'oid' or 'x500'.",
     "uuid.v5('dns', 'www.example.com') == '2ed6657d-e927-568b-95e1-2665a8aea6a2'"},
};

}  // namespace

std::span<const FunctionRow> hash_rows() { return kRows; }

}  // namespace penstock::cel
