// The smallest pieces of JSON's grammar, for readers of it.
//
// All of them may look at a few bytes behind the text: the padding allows it.
// Threads: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "text/hex.h"

namespace penstock::cel {

[[nodiscard]] inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// What may follow a number or a word.
inline constexpr std::array<bool, 256> kEndsScalar = [] {
  std::array<bool, 256> ends{};
  for (const char c : {' ', '\t', '\n', '\r', ',', ':', ']', '}'}) {
    ends[static_cast<unsigned char>(c)] = true;
  }
  return ends;
}();

[[nodiscard]] inline bool ends_scalar(char c) { return kEndsScalar[static_cast<unsigned char>(c)]; }

// Reads up to seven bytes beyond the text, which the padding allows.
[[nodiscard]] inline bool has_backslash(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101U;
  for (std::size_t i = 0; i < text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof word);
    word ^= kOnes * '\\';
    std::uint64_t zero = (word - kOnes) & ~word & (kOnes * 0x80);
    if (text.size() - i < 8) zero &= (std::uint64_t{1} << (8 * (text.size() - i))) - 1;
    if (zero != 0) return true;
  }
  return false;
}

// Every backslash of a string's text begins an escape that JSON knows. Half a surrogate pair is
// one.
[[nodiscard]] inline bool are_escapes(std::string_view text) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  for (std::size_t at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at)) {
    if (++at == text.size()) return false;
    if (text[at++] != 'u') {
      if (!kEscapes.contains(text[at - 1])) return false;
      continue;
    }
    for (std::size_t i = 0; i < 4; ++i, ++at) {
      if (at >= text.size() || text::hex_digit(text[at]) < 0) return false;
    }
  }
  return true;
}

// Behind a number that begins at `at`, by JSON's grammar; nullptr: it is none.
[[nodiscard]] inline const char* skip_number(const char* at) {
  if (*at == '-') ++at;
  if (!is_digit(*at)) return nullptr;
  if (*at == '0' && is_digit(at[1])) return nullptr;
  while (is_digit(*at)) ++at;
  if (*at == '.') {
    if (!is_digit(*++at)) return nullptr;
    while (is_digit(*at)) ++at;
  }
  if (*at == 'e' || *at == 'E') {
    ++at;
    if (*at == '+' || *at == '-') ++at;
    if (!is_digit(*at)) return nullptr;
    while (is_digit(*at)) ++at;
  }
  return ends_scalar(*at) ? at : nullptr;
}

}  // namespace penstock::cel
