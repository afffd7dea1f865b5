// What a test expects of a column, as text, beside the value that the column got.
//
// The kind of the value decides how the text is read: a number compares as a number (a computed
// double with a fraction by its first 15 digits), a timestamp as a moment, bytes as base64, a list
// or map as JSON; text as it is. "null" is null, "DEFAULT" a value that is absent.
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "cel/value.h"

namespace penstock::spec_test {

[[nodiscard]] bool matches(std::string_view expected, const cel::Value& actual);

// The value as a test would expect it; strings in quotes, so that their ends show.
[[nodiscard]] std::string shown(const cel::Value& actual);
// What is expected, in the same notation as shown(actual).
[[nodiscard]] std::string shown_expected(std::string_view expected, const cel::Value& actual);

}  // namespace penstock::spec_test
