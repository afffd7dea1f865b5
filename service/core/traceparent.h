// Reads a W3C `traceparent` header (https://www.w3.org/TR/trace-context/#traceparent-header).
//
// Strict as the standard asks: lower-case hexadecimal only, no all-zero ids, no version ff; a
// version we do not know is read by its first four fields, and only the flag "sampled" of it.
// Threads: a pure function. Failure: false, and `link` is left as it was; nothing is thrown.
#pragma once

#include <string_view>

#include "core/batch_trace.h"

namespace penstock {

[[nodiscard]] bool parse_traceparent(std::string_view header, TraceLink& link) noexcept;

}  // namespace penstock
