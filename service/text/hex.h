// Hexadecimal.
//
// Threads: pure.
#pragma once

#include <string>
#include <string_view>

namespace penstock::text {

// What the digit stands for; -1: it is none.
[[nodiscard]] constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const int letter = (static_cast<unsigned char>(c) | 0x20) - 'a';
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

// In small letters.
void append_hex(std::string& out, std::string_view bytes);
// Two digits a byte, nothing between them. False: malformed, and `out` holds what came before.
[[nodiscard]] bool decode_hex(std::string_view text, std::string& out);

}  // namespace penstock::text
