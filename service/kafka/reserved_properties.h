// The librdkafka properties that Penstock sets itself for its guarantees, and why users may not.
//
// One table for both sides: config/ refuses them in a user's configuration, and a consumer gets the
// values that stand here, whatever else it is given.
#pragma once

#include <string>
#include <string_view>

#include "kafka/properties.h"

namespace penstock::kafka {

// Why Penstock sets this property itself, and what to use instead; empty when users may set it.
[[nodiscard]] std::string_view why_reserved(std::string_view property);

// Those that every consumer needs; nothing overrides these.
[[nodiscard]] Properties required_properties(const std::string& group);

}  // namespace penstock::kafka
