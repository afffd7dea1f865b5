// A value as messages to people show it.
//
// Threads: pure function.
#pragma once

#include <string>

#include "cel/value.h"

namespace penstock::compute {

// In CEL's notation; a long one is cut, and ends in "…".
[[nodiscard]] std::string shown(const cel::Value& value);

}  // namespace penstock::compute
