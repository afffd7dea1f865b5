// Base64, the standard alphabet.
#pragma once

#include <string>
#include <string_view>

namespace penstock::cel {

void append_base64(std::string& out, std::string_view bytes);
// Padding may be left out. False: malformed.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

}  // namespace penstock::cel
