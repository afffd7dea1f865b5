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
  std::vector<Pair> pairs;
  // What is as expected up to here: in a test that passes, all of it.
  const std::size_t both = std::min(expected, actual);
  std::size_t begin = 0;
  for (; begin < both && same(begin, begin); ++begin) pairs.push_back({begin, begin});

  // costs[i][j]: of aligning what follows, from the i-th and the j-th behind `begin` on.
  const std::size_t rows = expected - begin;
  const std::size_t columns = actual - begin;
  std::vector<std::vector<std::size_t>> costs(rows + 1, std::vector<std::size_t>(columns + 1));
  const auto paired = [&](std::size_t i, std::size_t j) {
    return costs[i + 1][j + 1] + (same(begin + i, begin + j) ? 0 : kDifferent);
  };
  for (std::size_t i = rows + 1; i-- > 0;) {
    for (std::size_t j = columns + 1; j-- > 0;) {
      if (i == rows || j == columns) {
        costs[i][j] = ((rows - i) + (columns - j)) * kAlone;
      } else {
        costs[i][j] = std::min({paired(i, j), costs[i + 1][j] + kAlone, costs[i][j + 1] + kAlone});
      }
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && costs[i][j] == paired(i, j)) {
      pairs.push_back({begin + i++, begin + j++});
    } else if (i < rows && (j == columns || costs[i][j] == costs[i + 1][j] + kAlone)) {
      pairs.push_back({begin + i++, std::nullopt});
    } else {
      pairs.push_back({std::nullopt, begin + j++});
    }
  }
  return pairs;
}

}  // namespace penstock::spec_test
