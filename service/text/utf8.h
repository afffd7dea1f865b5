// UTF-8: whether a text is it, its code points, where it may be cut.
//
// Threads: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::text {

// Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

// Bytes of the valid code point at the front of `text`; 0: there is none, or no text.
[[nodiscard]] std::size_t valid_code_point_bytes(std::string_view text) noexcept;

// What stands for what cannot be read, U+FFFD.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// `text` with a replacement character for every byte that belongs to no valid code point.
[[nodiscard]] std::string repaired_utf8(std::string_view text);

// A byte of a code point that is not its first.
[[nodiscard]] constexpr bool is_continuation(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// The whole code points at the front that take at most so many bytes; of a text that is not UTF-8,
// about so many bytes.
[[nodiscard]] std::string_view cut_utf8(std::string_view text, std::size_t most_bytes) noexcept;

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

}  // namespace penstock::text
