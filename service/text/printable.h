// What others wrote (records, reasons, messages of other programs), for a terminal or a line.
//
// Terminals obey control characters: an escape sequence in a record must not move the cursor, and a
// line end must not forge a line. Threads: pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::text {

enum class Lines : std::uint8_t { join, keep };

// Valid UTF-8 without control characters and without what turns the direction of writing: "\u001b"
// stands for one, U+FFFD for what is no UTF-8.
// With Lines::keep, line ends and tabs stay.
[[nodiscard]] std::string printable(std::string_view text, Lines lines = Lines::join);

}  // namespace penstock::text
