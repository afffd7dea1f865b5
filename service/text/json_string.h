// Texts as JSON strings.
//
// Besides what JSON asks for, DEL and U+0080 to U+009F are escaped, which terminals obey as well as
// the other control characters: what is written can neither forge a line nor steer a terminal.
//
// Threads: pure. `text` is valid UTF-8 (see repaired_utf8() in text/utf8.h), and so is the result.
#pragma once

#include <string>
#include <string_view>

namespace penstock::text {

// With the quotes around it.
void append_json_string(std::string& out, std::string_view text);

// Without them.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace penstock::text
