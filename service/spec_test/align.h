// Puts what is expected beside what came.
//
// Threads: pure function.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace penstock::spec_test {

// At least one of the two.
struct Pair {
  std::optional<std::size_t> expected;
  std::optional<std::size_t> actual;
};

// Both in their order, with as few missing, unexpected and different ones as possible.
[[nodiscard]] std::vector<Pair> align(
    std::size_t expected, std::size_t actual,
    const std::function<bool(std::size_t expected, std::size_t actual)>& same);

}  // namespace penstock::spec_test
