#include "cel/check/hints.h"

#include <algorithm>

#include "cel/syntax/ast.h"
#include "cel/syntax/habits.h"
#include "text/nearest_names.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kMaxOverloadsShown = 8;

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
  if (function.name == "timestamp" && types.size() == 1 && types[0].is(TypeKind::kDouble)) {
    hint += "write time.fromSeconds(…)\n";
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

std::string function_hint(std::string_view name, std::span<const std::string_view> functions) {
  const std::string_view habit = habit_of_function(name);
  return habit.empty() ? text::did_you_mean(name, functions) : std::string(habit);
}

}  // namespace penstock::cel
