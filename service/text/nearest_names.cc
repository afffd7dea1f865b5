#include "text/nearest_names.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <utility>
#include <vector>

namespace penstock::text {
namespace {

// Levenshtein distance without regard to case.
std::size_t distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_names(std::string_view name, std::span<const NamedCandidate> candidates) {
  std::vector<std::pair<std::size_t, const NamedCandidate*>> near;
  std::string plain(name);
  std::erase(plain, '"');
  const std::size_t limit = std::max<std::size_t>(2, plain.size() / 3);
  for (const NamedCandidate& candidate : candidates) {
    const std::size_t away = distance(plain, candidate.compared);
    if (away <= limit) near.emplace_back(away, &candidate);
  }
  std::ranges::stable_sort(near, {}, [](const auto& entry) { return entry.first; });
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(near.size(), 3); ++i) {
    text += (i == 0 ? "" : ", ") + near[i].second->shown;
  }
  return text;
}

}  // namespace penstock::text
