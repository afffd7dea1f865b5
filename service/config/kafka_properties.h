// The librdkafka properties that Penstock needs for its guarantees, and why users may not set them.
#pragma once

#include <string_view>

namespace penstock::config {

// Why Penstock sets this property itself, and what to use instead; empty when users may set it.
[[nodiscard]] std::string_view reserved_kafka_property(std::string_view name);

}  // namespace penstock::config
