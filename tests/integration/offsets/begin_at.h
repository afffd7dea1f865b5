// A topic's beginning without a consumer that asks Kafka for it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/claim.h"

namespace penstock::test {

// Topic "t" begins at these offsets, from partition `first` on.
[[nodiscard]] inline Result<void> begin_at(ClaimStore& claims,
                                           std::vector<std::optional<Offset>> offsets,
                                           std::int32_t first = 0) {
  return claims.begin_topic({.topic = "t",
                             .cluster_id = {},
                             .topic_id = {},
                             .first = first,
                             .offsets = std::move(offsets)},
                            {});
}

}  // namespace penstock::test
