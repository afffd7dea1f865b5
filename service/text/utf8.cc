#include "text/utf8.h"

#include <simdjson.h>

#include <algorithm>

namespace penstock::text {
namespace {

constexpr std::uint32_t byte_at(std::string_view text, std::size_t i) noexcept {
  return static_cast<unsigned char>(text[i]);
}

// Up to here a look at every byte is faster than the set-up of simdjson's check.
constexpr std::size_t kShortText = 16;

}  // namespace

std::size_t valid_code_point_bytes(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const std::uint32_t first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t bytes = code_point_bytes(text[0]);
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  for (std::size_t k = 1; k < bytes; ++k) {
    if (!is_continuation(text[k])) return 0;
  }
  const std::uint32_t second = byte_at(text, 1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool no_code_point = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || no_code_point ? 0 : bytes;
}

bool is_valid_utf8(std::string_view text) noexcept {
  if (text.size() > kShortText) return simdjson::validate_utf8(text.data(), text.size());
  while (!text.empty()) {
    const std::size_t bytes = valid_code_point_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string repaired_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t valid = valid_code_point_bytes(text);
    out += valid == 0 ? kReplacementCharacter : text.substr(0, valid);
    text.remove_prefix(std::max<std::size_t>(valid, 1));
  }
  return out;
}

std::string_view cut_utf8(std::string_view text, std::size_t most_bytes) noexcept {
  if (text.size() <= most_bytes) return text;
  std::size_t end = most_bytes;
  while (end > 0 && most_bytes - end < 3 && is_continuation(text[end])) --end;
  return text.substr(0, is_continuation(text[end]) ? most_bytes : end);
}

std::size_t count_code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char c : text) count += is_continuation(c) ? 0 : 1;
  return count;
}

std::uint32_t decode_utf8(std::string_view text) noexcept {
  const std::uint32_t first = byte_at(text, 0);
  switch (code_point_bytes(text[0])) {
    case 1:
      return first;
    case 2:
      return ((first & 0x1F) << 6) | (byte_at(text, 1) & 0x3F);
    case 3:
      return ((first & 0x0F) << 12) | ((byte_at(text, 1) & 0x3F) << 6) | (byte_at(text, 2) & 0x3F);
    default:
      return ((first & 0x07) << 18) | ((byte_at(text, 1) & 0x3F) << 12) |
             ((byte_at(text, 2) & 0x3F) << 6) | (byte_at(text, 3) & 0x3F);
  }
}

std::size_t encode_utf8(std::uint32_t c, char* out) noexcept {
  const auto put = [&out](std::uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
    return 1;
  }
  if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
    return 3;
  }
  put(0xF0 | (c >> 18));
  put(0x80 | ((c >> 12) & 0x3F));
  put(0x80 | ((c >> 6) & 0x3F));
  put(0x80 | (c & 0x3F));
  return 4;
}

std::size_t code_point_offset(std::string_view text, std::size_t index) noexcept {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += code_point_bytes(text[at]);
  return index == 0 ? at : std::string_view::npos;
}

}  // namespace penstock::text
