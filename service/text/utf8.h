// UTF-8 of texts that others wrote: PostgreSQL before a connection has an encoding, librdkafka, the
// operating system, payloads.
//
// Strict (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
// Threads: pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::text {

inline constexpr std::string_view kReplacementCharacter = "\uFFFD";

// Bytes of the valid code point at the front of `text`; 0: there is none, or no text.
[[nodiscard]] std::size_t code_point_bytes(std::string_view text) noexcept;

// `text` with each byte that is not part of a valid code point replaced by U+FFFD: for messages and
// JSON, which their readers refuse otherwise.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace penstock::text
