// Numbers to text and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::cel {

// The shortest text that reads back as the same number, with an exponent below 1e-4 and from 1e6
// on, as string(double) of the reference implementation writes it; "NaN", "+Inf", "-Inf".
void append_double(std::string& out, double value);

[[nodiscard]] std::optional<std::int64_t> parse_int(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parse_uint(std::string_view text);
[[nodiscard]] std::optional<double> parse_double(std::string_view text);

// Cut off towards zero; nothing when it does not fit.
[[nodiscard]] std::optional<std::int64_t> int_of(double value);
[[nodiscard]] std::optional<std::uint64_t> uint_of(double value);

}  // namespace penstock::cel
