// Values as text: for people (CEL's own notation) and as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cel/value.h"

namespace penstock::cel {

// As one would write it in an expression: 1u, "a\n", b"\x00", [1, 2], {"a": 1},
// timestamp("2024-01-01T00:00:00Z").
void append_text(std::string& out, const Value& value);
[[nodiscard]] std::string to_text(const Value& value);

// A value may share parts with itself and so be far larger as text than in memory.
inline constexpr std::size_t kLongestText = std::size_t{64} << 20;

enum class JsonText : std::uint8_t {
  written,
  no_json,    // it holds what JSON cannot have: NaN, an infinite number, an error, an absent value
  too_large,  // of more bytes, or nested more deeply
};

// As JSON: numbers of a document as they are written there, others exactly; bytes as base64,
// timestamps in RFC 3339, durations as "1.5s", map keys as text. Unless it is `written`, `out`
// holds a part.
[[nodiscard]] JsonText append_json(std::string& out, const Value& value,
                                   std::size_t most_bytes = kLongestText);

}  // namespace penstock::cel
