// Values as text: for people (CEL's own notation) and as JSON.
#pragma once

#include <string>

#include "cel/value.h"

namespace penstock::cel {

// As one would write it in an expression: 1u, "a\n", b"\x00", [1, 2], {"a": 1},
// timestamp("2024-01-01T00:00:00Z").
void append_text(std::string& out, const Value& value);
[[nodiscard]] std::string to_text(const Value& value);

// As JSON: numbers of a document as they are written there, others exactly; bytes as base64,
// timestamps in RFC 3339, durations as "1.5s", map keys as text.
// False: it holds something that JSON cannot have (NaN, an infinite number, an error, an absent
// value).
[[nodiscard]] bool append_json(std::string& out, const Value& value);

}  // namespace penstock::cel
