// The small languages inside YAML scalars: durations, sizes, numbers.
//
// Threads: free functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace google::protobuf {
class Duration;
}

namespace penstock::config {

// "250ms", "1.5s", "1m30s", "0"; units ns, us, ms, s, m, h. nullopt when it is none, is negative,
// or is longer than 10,000 days.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
// The shortest of those that is exact: "90s" stays "1m30s".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

// "1024", "64MiB", "1.5 GiB", "10MB"; units B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, in any case.
[[nodiscard]] std::optional<std::uint64_t> parse_size_bytes(std::string_view text);
// "64MiB" when it is a whole number of a binary unit, else the number.
[[nodiscard]] std::string format_size_bytes(std::uint64_t bytes);

// Decimal digits, with "_" between them if wanted.
[[nodiscard]] std::optional<std::uint64_t> parse_unsigned(std::string_view text);

// A protobuf duration as std::chrono and back.
[[nodiscard]] std::chrono::nanoseconds to_chrono(const google::protobuf::Duration& duration);
void set_duration(google::protobuf::Duration& duration, std::chrono::nanoseconds value);

}  // namespace penstock::config
