#include "core/traceparent.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock {
namespace {

// "00-<32 hex>-<16 hex>-<2 hex>"
constexpr std::size_t kLength = 55;
constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kSpanIdAt = 36;
constexpr std::size_t kFlagsAt = 53;

int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(const char* text, std::span<std::uint8_t> bytes) noexcept {
  for (std::uint8_t& byte : bytes) {
    const int high = digit(text[0]);
    const int low = digit(text[1]);
    if (high < 0 || low < 0) return false;
    byte = static_cast<std::uint8_t>(high * 16 + low);
    text += 2;
  }
  return true;
}

bool all_zero(std::span<const std::uint8_t> bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

bool parse_traceparent(std::string_view header, TraceLink& link) noexcept {
  if (header.size() < kLength) return false;
  const char* text = header.data();
  if (text[2] != '-' || text[kSpanIdAt - 1] != '-' || text[kFlagsAt - 1] != '-') return false;

  std::uint8_t version = 0;
  if (!read_hex(text, std::span(&version, 1)) || version == 0xff) return false;
  if (header.size() > kLength && (version == 0 || text[kLength] != '-')) return false;

  TraceLink found;
  if (!read_hex(text + kTraceIdAt, found.trace_id) || !read_hex(text + kSpanIdAt, found.span_id) ||
      !read_hex(text + kFlagsAt, std::span(&found.flags, 1))) {
    return false;
  }
  if (all_zero(found.trace_id) || all_zero(found.span_id)) return false;
  if (version != 0) found.flags &= 1U;
  link = found;
  return true;
}

}  // namespace penstock
