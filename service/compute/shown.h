// A value as messages to people show it.
//
// Threads: pure function.
#pragma once

#include <string>
#include <vector>

#include "cel/value.h"

namespace penstock::compute {

// In CEL's notation; a long one is cut, and ends in "…".
[[nodiscard]] std::string shown(const cel::Value& value);
// "a, b, c": the first of them, each cut.
[[nodiscard]] std::string listed(const std::vector<std::string>& names);

}  // namespace penstock::compute
