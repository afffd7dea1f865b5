// nearest_names: what someone who mistyped a name most likely meant.
//
// Threads: pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace penstock::text {

struct NamedCandidate {
  std::string shown;     // "public.orders"
  std::string compared;  // "orders"
};

// At most three, nearest first, joined by ", "; empty when none is near. Case does not count.
[[nodiscard]] std::string nearest_names(std::string_view name,
                                        std::span<const NamedCandidate> candidates);

}  // namespace penstock::text
