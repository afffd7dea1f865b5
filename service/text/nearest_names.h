// What someone who mistyped a name most likely meant.
//
// A name is near with one typo if it is short, two if it is longer, and one for each three letters
// of a long one. Letters in either case, and "-", "_" and ".", are what people mix up most: they
// cost nothing. A wrong guess helps less than none.
//
// Threads: pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace penstock::text {

// The candidate with the fewest typos, the first of several; empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view name,
                                       std::span<const std::string_view> candidates);

// "did you mean 'postgres'?", or empty.
[[nodiscard]] std::string did_you_mean(std::string_view name,
                                       std::span<const std::string_view> candidates);

// The same, or "one of: a, b, c" when none is near; empty without candidates.
[[nodiscard]] std::string suggest(std::string_view name,
                                  std::span<const std::string_view> candidates);

struct NamedCandidate {
  std::string shown;     // "public.orders"
  std::string compared;  // "orders"
};

// At most three, nearest first, joined by ", "; empty when none is near. Double quotes do not
// count.
[[nodiscard]] std::string nearest_names(std::string_view name,
                                        std::span<const NamedCandidate> candidates);

}  // namespace penstock::text
