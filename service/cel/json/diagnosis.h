// Says what is wrong with a JSON document that simdjson refused, and at which byte.
//
// Place in the flow: the reader of payloads and json.parse() call it after a failure only. simdjson
// is fast because it finds out late and roughly that something is wrong; this is a plain, strict
// second look in text order.
// Threads: pure function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::cel {

struct JsonProblem {
  // Empty: there is none. Else stable and snake_case, in static storage: empty_payload, not_utf8,
  // registry_format, compressed_payload, invalid_utf8, invalid_json, truncated_json,
  // trailing_content, too_deep.
  std::string_view reason;
  std::string message;  // for people; names the byte (from 0) where that is known

  [[nodiscard]] bool ok() const { return reason.empty(); }
};

// The first thing that is wrong, or ok if the text is JSON (RFC 8259) in UTF-8, nested at most
// `max_depth` deep; a byte order mark in front is skipped.
[[nodiscard]] JsonProblem diagnose_json(std::string_view text, std::uint32_t max_depth);

}  // namespace penstock::cel
