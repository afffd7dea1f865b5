#include "spec_test/align.h"

#include <algorithm>

namespace penstock::spec_test {

namespace {

// One that differs is better than one missing and one unexpected, but not than those and a match.
constexpr std::size_t kAlone = 2;
constexpr std::size_t kDifferent = 3;

}  // namespace

std::vector<Pair> align(std::size_t expected, std::size_t actual,
                        const std::function<bool(std::size_t, std::size_t)>& same) {
  // costs[i][j]: of aligning what follows from expected i and actual j on.
  std::vector<std::vector<std::size_t>> costs(expected + 1, std::vector<std::size_t>(actual + 1));
  const auto paired = [&](std::size_t i, std::size_t j) {
    return costs[i + 1][j + 1] + (same(i, j) ? 0 : kDifferent);
  };
  for (std::size_t i = expected + 1; i-- > 0;) {
    for (std::size_t j = actual + 1; j-- > 0;) {
      if (i == expected || j == actual) {
        costs[i][j] = ((expected - i) + (actual - j)) * kAlone;
      } else {
        costs[i][j] = std::min({paired(i, j), costs[i + 1][j] + kAlone, costs[i][j + 1] + kAlone});
      }
    }
  }
  std::vector<Pair> pairs;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < expected || j < actual) {
    if (i < expected && j < actual && costs[i][j] == paired(i, j)) {
      pairs.push_back({i++, j++});
    } else if (i < expected && (j == actual || costs[i][j] == costs[i + 1][j] + kAlone)) {
      pairs.push_back({i++, std::nullopt});
    } else {
      pairs.push_back({std::nullopt, j++});
    }
  }
  return pairs;
}

}  // namespace penstock::spec_test
