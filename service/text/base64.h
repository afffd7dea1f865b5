// Base64, the standard alphabet.
//
// Threads: pure.
#pragma once

#include <string>
#include <string_view>

namespace penstock::text {

// With padding.
void append_base64(std::string& out, std::string_view bytes);
// Padding may be left out. False: malformed, and `out` holds what came before.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

}  // namespace penstock::text
