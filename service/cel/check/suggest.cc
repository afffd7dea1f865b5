#include "cel/check/suggest.h"

#include <algorithm>
#include <numeric>

#include "cel/syntax/ast.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kMaxOverloadsShown = 8;
constexpr std::size_t kLongestWord = 64;

// Insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substituted, row[j - 1] + 1, last[j] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

bool is_numeric(const Type& type) {
  return type.is(TypeKind::kInt) || type.is(TypeKind::kUint) || type.is(TypeKind::kDouble);
}

// string(…) takes it.
bool becomes_text(const Type& type) {
  return is_numeric(type) || type.is(TypeKind::kBool) || type.is(TypeKind::kBytes) ||
         type.is(TypeKind::kTimestamp) || type.is(TypeKind::kDuration);
}

// Those that take more of these types first.
std::vector<Overload> nearest_first(std::vector<Overload> overloads,
                                    const std::vector<Type>& types) {
  const auto unlike = [&](const Overload& overload) {
    std::size_t count = types.size();
    for (std::size_t i = 0; i < std::min(types.size(), overload.parameters.size()); ++i) {
      if (overload.parameters[i].kind() == types[i].kind()) --count;
    }
    return count;
  };
  std::ranges::stable_sort(overloads, {}, unlike);
  return overloads;
}

}  // namespace

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  if (word.size() > kLongestWord) return best;
  // One typo in a short word, two in an ordinary one, three in a long one.
  std::size_t allowed = word.size() <= 3 ? 1 : word.size() <= 7 ? 2 : 3;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > word.size() + allowed || candidate.size() + allowed < word.size()) {
      continue;
    }
    const std::size_t distance = edit_distance(word, candidate);
    if (distance > allowed || (distance == allowed && !best.empty())) continue;
    if (distance >= candidate.size()) continue;
    best = candidate;
    allowed = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const std::string_view best = nearest(word, candidates);
  return best.empty() ? "" : "did you mean '" + std::string(best) + "'?";
}

std::string_view shown_name(std::string_view function) {
  if (function == op::kIn) return "in";
  if (function == op::kIndex) return "[]";
  if (function == op::kOptionalIndex) return "[?]";
  if (function == op::kConditional) return "?:";
  if (function == op::kNot || function == op::kNegate) return function.substr(0, 1);
  if (function.size() > 2 && function.starts_with('_') && function.ends_with('_')) {
    return function.substr(1, function.size() - 2);
  }
  return function;
}

std::string shown_types(const std::vector<Type>& types, bool is_method) {
  std::string text;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (i == 0 && is_method) continue;
    if (!text.empty()) text += ", ";
    text += types[i].to_string();
  }
  text = "(" + text + ")";
  return is_method ? text + " on " + types[0].to_string() : text;
}

std::string overload_hint(const Function& function, const std::vector<Type>& types) {
  std::string hint;
  const bool is_equality = function.name == op::kEqual || function.name == op::kNotEqual;
  if (is_equality && types[0].is(TypeKind::kNull) != types[1].is(TypeKind::kNull)) {
    const Type& other = types[types[0].is(TypeKind::kNull) ? 1 : 0];
    return "a value of type " + other.to_string() + " is never null; one that may be is of type " +
           Type::nullable(other).to_string();
  }
  if (function.name == op::kAdd) {
    const std::size_t text = types[0].certain().is(TypeKind::kString) ? 0 : 1;
    if (types[text].certain().is(TypeKind::kString) && becomes_text(types[1 - text].certain())) {
      hint += "text is joined with text: write string(…) around the other one\n";
    }
  }
  if (types.size() == 2 && is_numeric(types[0]) && is_numeric(types[1]) &&
      !(types[0] == types[1])) {
    const bool any_double = types[0].is(TypeKind::kDouble) || types[1].is(TypeKind::kDouble);
    hint += any_double
                ? "numbers are not converted by themselves: write double(…) around the other one\n"
                : "numbers are not converted by themselves: write int(…) around the uint\n";
  }
  hint += "there is: ";
  std::size_t shown = 0;
  for (const Overload& overload : nearest_first(function.overloads, types)) {
    if (shown == kMaxOverloadsShown) {
      hint += ", …";
      break;
    }
    if (shown++ > 0) hint += ", ";
    const std::string_view name = shown_name(function.name);
    if (name != function.name && overload.parameters.size() == 2 && name != "[]" && name != "[?]") {
      hint += overload.parameters[0].to_string() + " " + std::string(name) + " " +
              overload.parameters[1].to_string();
    } else {
      hint += with_parentheses(overload.signature.substr(0, overload.signature.find(" -> ")));
    }
  }
  return hint;
}

}  // namespace penstock::cel
