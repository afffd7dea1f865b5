// One log event as one line of JSON or text.
//
// Place in the flow: logging.cc calls it for every event that passes the level and the limiter.
// Whatever bytes a field holds, the result is one line of valid UTF-8 without control characters
// (but for the colours). Threads: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/log.h"

namespace penstock::telemetry {

// Longer texts are cut and end in "…": a database's message can hold a whole statement.
inline constexpr std::size_t kMaxLogValueBytes = 4096;

// {"time":"2026-01-31T12:00:00.123Z","level":"info","event":"…",fields…}; ends in a newline. A
// field named like one of the three gets a "_" behind its name.
[[nodiscard]] std::string json_line(SystemTime time, LogLevel level, std::string_view event,
                                    std::span<const LogField> fields);

// "2026-01-31T12:00:00.123Z INFO  event_name               key=value key="two words""; ends in a
// newline.
[[nodiscard]] std::string text_line(SystemTime time, LogLevel level, std::string_view event,
                                    std::span<const LogField> fields, bool colours);

}  // namespace penstock::telemetry
