// UTF-8, as far as the language needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::cel {

// Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

// Bytes of the valid code point at the front of `text`; 0: there is none, or no text.
[[nodiscard]] std::size_t valid_code_point_bytes(std::string_view text) noexcept;

// Code points in valid UTF-8.
[[nodiscard]] std::size_t count_code_points(std::string_view text) noexcept;

// Bytes of the code point that starts with this byte, in valid UTF-8.
[[nodiscard]] constexpr std::size_t code_point_bytes(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

// The code point at the front of valid, non-empty UTF-8.
[[nodiscard]] std::uint32_t decode_utf8(std::string_view text) noexcept;

// Writes at most 4 bytes and returns how many.
std::size_t encode_utf8(std::uint32_t code_point, char* out) noexcept;

// Byte offset of code point number `index`; text.size() for one past the last; npos beyond.
[[nodiscard]] std::size_t code_point_offset(std::string_view text, std::size_t index) noexcept;

}  // namespace penstock::cel
