// Says what is wrong with a document that the reader refused, and at which byte.
//
// Place in the flow: JsonReader calls it after a failure only. simdjson is fast because it finds
// out late and roughly that something is wrong; this is a plain, strict second look in text order.
// Threads: pure function.
#pragma once

#include <cstdint>
#include <string_view>

#include "parse/verdict.h"

namespace penstock::parse {

// The first thing that is wrong, or ok if the text is JSON (RFC 8259) in UTF-8, nested at most
// `max_depth` deep; a byte order mark in front is skipped. Does not judge the range of numbers.
[[nodiscard]] Verdict diagnose_json(std::string_view text, std::uint32_t max_depth);

}  // namespace penstock::parse
