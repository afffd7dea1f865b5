#include "text/printable.h"

#include <algorithm>

#include "text/json_string.h"
#include "text/utf8.h"

namespace penstock::text {

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
    } else {
      append_json_escaped(out, one);
    }
    i += length;
  }
  return out;
}

}  // namespace penstock::text
