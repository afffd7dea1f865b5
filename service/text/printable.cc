#include "text/printable.h"

#include <algorithm>
#include <format>

#include "text/json_string.h"
#include "text/utf8.h"

namespace penstock::text {

namespace {

// The marks that turn the direction of writing, and the ends of lines and paragraphs that are no
// control characters: U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069, all E2 80 xx or E2 81 xx.
bool turns(std::string_view one) {
  if (one.size() != 3 || one[0] != '\xE2') return false;
  const auto last = static_cast<unsigned char>(one[2]);
  if (one[1] == '\x80') return last == 0x8E || last == 0x8F || (last >= 0xA8 && last <= 0xAE);
  return one[1] == '\x81' && last >= 0xA6 && last <= 0xA9;
}

}  // namespace

std::string printable(std::string_view text, Lines lines) {
  const std::string whole = repaired_utf8(text);
  std::string out;
  out.reserve(whole.size());
  for (std::size_t i = 0; i < whole.size();) {
    const std::size_t length = std::min(code_point_bytes(whole[i]), whole.size() - i);
    const std::string_view one = std::string_view(whole).substr(i, length);
    const bool is_kept =
        one == "\"" || one == "\\" || (lines == Lines::keep && (one == "\n" || one == "\t"));
    if (is_kept) {
      out += one;
    } else if (turns(one)) {
      out += std::format("\\u20{:02x}", (one[1] == '\x80' ? 0x00 : 0x40) +
                                            (static_cast<unsigned char>(one[2]) & 0x3F));
    } else {
      append_json_escaped(out, one);
    }
    i += length;
  }
  return out;
}

}  // namespace penstock::text
