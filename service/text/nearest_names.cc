#include "text/nearest_names.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace penstock::text {
namespace {

constexpr std::size_t kLongestName = 256;  // the distance takes time with its square

char fold(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '-' || c == '.' ? '_' : c;
}

// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
std::size_t typos(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

struct Near {
  std::size_t typos;
  std::size_t candidate;
};

// The candidates that are near, nearest first; `name_of(i)` is the name of the i-th of `count`.
std::vector<Near> near_ones(std::string_view name, std::size_t count, const auto& name_of) {
  std::vector<Near> found;
  if (name.size() > kLongestName) return found;
  const std::size_t allowed = name.size() <= 3 ? 1 : std::max<std::size_t>(2, name.size() / 3);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view candidate = name_of(i);
    if (candidate.size() > name.size() + allowed || candidate.size() + allowed < name.size()) {
      continue;
    }
    const std::size_t distance = typos(name, candidate);
    // Where nothing of the candidate is left, it was not meant.
    if (distance <= allowed && distance < candidate.size()) found.push_back({distance, i});
  }
  std::ranges::stable_sort(found, {}, &Near::typos);
  return found;
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  const std::vector<Near> found =
      near_ones(name, candidates.size(), [&](std::size_t i) { return candidates[i]; });
  return found.empty() ? std::string_view() : candidates[found.front().candidate];
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view best = nearest(name, candidates);
  return best.empty() ? "" : "did you mean '" + std::string(best) + "'?";
}

std::string suggest(std::string_view name, std::span<const std::string_view> candidates) {
  std::string hint = did_you_mean(name, candidates);
  if (!hint.empty()) return hint;
  for (const std::string_view candidate : candidates) {
    hint += hint.empty() ? "one of: " : ", ";
    hint += candidate;
  }
  return hint;
}

std::string nearest_names(std::string_view name, std::span<const NamedCandidate> candidates) {
  std::string plain(name);
  std::erase(plain, '"');
  std::vector<Near> found = near_ones(plain, candidates.size(), [&](std::size_t i) {
    return std::string_view(candidates[i].compared);
  });
  found.resize(std::min<std::size_t>(found.size(), 3));
  std::string names;
  for (const Near& near : found) {
    names += (names.empty() ? "" : ", ") + candidates[near.candidate].shown;
  }
  return names;
}

}  // namespace penstock::text
