// The checker: calls, selects and macros.
#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "cel/check/check_pass.h"
#include "cel/check/hints.h"
#include "cel/syntax/position.h"
#include "text/nearest_names.h"

namespace penstock::cel {

std::vector<std::string_view> CheckPass::function_names(bool methods) {
  std::vector<std::string_view> names;
  for (const Function& function : all_functions()) {
    const bool has_one = std::ranges::any_of(
        function.overloads,
        [methods](const Overload& overload) { return overload.is_method == methods; });
    if (has_one) names.push_back(function.name);
  }
  return names;
}

bool CheckPass::select(Node* node, std::string_view field) {
  const Node* target = node->kind == NodeKind::kSelect ? node->target : node->args[0];
  Type type = types_.resolve(target->type).certain();
  const bool through_optional = type.is(TypeKind::kOptional);
  if (through_optional) type = types_.resolve(type.element()).certain();
  node->type = TypeKind::kDyn;
  if (type.is(TypeKind::kMap)) {
    node->type = type.element();
  } else if (type.is(TypeKind::kRecord)) {
    const Field* found = type.find_field(field);
    if (found == nullptr) {
      std::vector<std::string_view> names;
      std::string list;
      for (const Field& f : type.fields()) {
        names.push_back(f.name);
        list += (list.empty() ? "" : ", ") + f.name;
      }
      std::string hint = text::did_you_mean(field, names);
      hint += (hint.empty() ? "it has: " : "\nit has: ") + list;
      report(node, "'" + type.name() + "' has no field '" + std::string(field) + "'",
             std::move(hint));
      node->type = TypeKind::kError;
    } else {
      node->type = found->type;
    }
  } else if (!type.is_dyn() && !type.is(TypeKind::kParam)) {
    const bool known_wrong = !type.is(TypeKind::kError);
    if (known_wrong) {
      report(node, "a value of type " + type.to_string() + " has no fields; '" +
                       std::string(field) + "' cannot be selected");
    }
    if (strict_) node->type = TypeKind::kError;
  }
  if (through_optional) node->type = Type::optional(node->type);
  return through_optional;
}

Type CheckPass::unwrap(const Node* node, const Type& type) {
  const Type resolved = types_.resolve(type);
  if (resolved.is(TypeKind::kOptional)) return resolved.element();
  if (!resolved.is_dyn() && !resolved.is(TypeKind::kError)) {
    report(node, "'?' needs an optional value here, not " + resolved.to_string());
  }
  return TypeKind::kDyn;
}

void CheckPass::check_comprehension(Node* node) {
  check_value(node->target);
  Type range = types_.resolve(node->target->type).certain();
  Type first = TypeKind::kDyn;
  Type second = TypeKind::kDyn;
  const bool two = !node->variable2.empty();
  if (range.is(TypeKind::kList)) {
    first = two ? Type(TypeKind::kInt) : range.element();
    second = range.element();
  } else if (range.is(TypeKind::kMap)) {
    first = range.key();
    second = range.element();
  } else if (!range.is_dyn() && !range.is(TypeKind::kParam) && !range.is(TypeKind::kError)) {
    report(node->target,
           "a value of type " + range.to_string() + " cannot be iterated; a list or a map can");
  }
  const std::size_t scope = scope_.size();
  node->local = declare_local(node->variable, first);
  if (two) node->local2 = declare_local(node->variable2, second);
  for (Node* arg : node->args) check_value(arg);
  scope_.resize(scope);

  const bool transforms = node->macro == Macro::kMap || node->macro == Macro::kTransformMap ||
                          node->macro == Macro::kTransformMapEntry;
  if (!transforms || node->args.size() == 2) {
    const Node* predicate = node->args[0];
    if (!types_.assignable(predicate->type, TypeKind::kBool)) {
      report(predicate, "the condition must be a bool, not " +
                            types_.resolve(predicate->type, true).to_string());
    }
  }
  const Type transformed = types_.resolve(node->args.back()->type);
  switch (node->macro) {
    case Macro::kFilter:
      node->type = range.is(TypeKind::kList) ? range : Type::list(first);
      break;
    case Macro::kMap:
      node->type = Type::list(transformed);
      break;
    case Macro::kTransformMap:
      node->type = Type::map(is_key(first) ? first : Type(), transformed);
      break;
    case Macro::kTransformMapEntry:
      if (!transformed.is_dyn() && !transformed.is(TypeKind::kMap) &&
          !transformed.is(TypeKind::kError)) {
        report(node->args.back(), "the transform must give a map, not " + transformed.to_string());
      }
      node->type = transformed.is(TypeKind::kMap) ? transformed : Type();
      break;
    default:
      node->type = TypeKind::kBool;
  }
}

void CheckPass::check_call(Node* node) {
  if (node->is_method) {
    if (const auto prefix = qualified_name(node->target)) resolve_qualified_call(node, *prefix);
  }
  std::vector<Type> types;
  if (node->is_method) {
    check_value(node->target);
    types.push_back(node->target->type);
  }
  const bool indexes = node->name == op::kIndex || node->name == op::kOptionalIndex;
  for (std::size_t i = 0; i < node->args.size(); ++i) {
    if (indexes && i == 0) {
      check_node(node->args[0]);
    } else {
      check_value(node->args[i]);
    }
    types.push_back(node->args[i]->type);
  }
  if (node->name == op::kAnd || node->name == op::kOr) return check_logic(node);
  if (indexes && index_is_field(node)) return;
  if (indexes) require_value(node->args[0]);

  if (node->function == nullptr) {
    candidates(node->name, [&](std::string_view name) {
      node->function = environment_.find_function(name);
      return node->function != nullptr;
    });
  }
  node->resolution = Resolution::kFunction;
  if (node->function == nullptr) {
    node->type = strict_ ? TypeKind::kError : TypeKind::kDyn;
    const std::string name(node->name);
    report(node, "there is no function '" + name + "'",
           function_hint(node->name, function_names(node->is_method)));
    return;
  }
  resolve_overloads(node, types);
}

bool CheckPass::index_is_field(Node* node) {
  const Node* target = node->args[0];
  const Node* index = node->args[1];
  const bool constant = index->kind == NodeKind::kLiteral && index->literal.is_string();
  const Type type = types_.resolve(target->type);
  if (!constant || !(type.is(TypeKind::kRecord) || target->input.extensible)) {
    return false;
  }
  if (node->name != op::kIndex) return false;
  select(node, index->literal.as_string());
  if (!node->type.is(TypeKind::kError)) extend_input(node, target, index->literal.as_string());
  return node->resolution == Resolution::kInput || node->type.is(TypeKind::kError);
}

void CheckPass::resolve_qualified_call(Node* node, const std::string& prefix) {
  candidates(prefix, [&](std::string_view candidate) {
    if (environment_.find(candidate) != nullptr) return true;
    const std::string name = std::string(candidate) + "." + std::string(node->name);
    const Function* function = environment_.find_function(name);
    if (function == nullptr) return false;
    node->name = function->name;
    node->function = function;
    node->target = nullptr;
    node->is_method = false;
    return true;
  });
}

void CheckPass::check_logic(Node* node) {
  for (const Node* arg : node->args) {
    if (types_.assignable(arg->type, TypeKind::kBool)) continue;
    const bool joins =
        node->name == op::kOr && types_.resolve(arg->type).certain().is(TypeKind::kString);
    report(
        arg,
        "both sides of " + std::string(shown_name(node->name)) + " are bool; this is " +
            types_.resolve(arg->type, true).to_string(),
        joins ? "texts are joined with '+'" : "compare it with something, or test it with has()");
  }
  node->type = TypeKind::kBool;
}

void CheckPass::resolve_overloads(Node* node, const std::vector<Type>& types) {
  std::optional<Type> result;
  std::map<std::string, Type> open;  // the type parameters of the first one that fits
  node->overloads = 0;
  const std::vector<Overload>& overloads = node->function->overloads;
  for (std::size_t i = 0; i < overloads.size(); ++i) {
    const Overload& overload = overloads[i];
    if (overload.is_method != node->is_method || overload.parameters.size() != types.size()) {
      continue;
    }
    std::map<std::string, Type> names;
    std::vector<Type> parameters;
    for (const Type& parameter : overload.parameters) {
      parameters.push_back(types_.instantiate(parameter, names));
    }
    if (!types_.assignable(types, parameters)) continue;
    node->overloads |= std::uint64_t{1} << i;
    Type type = types_.resolve(types_.instantiate(overload.result, names));
    if (!result) {
      result = std::move(type);
      open = std::move(names);
    } else if (!(*result == type)) {
      result = TypeKind::kDyn;
    }
  }
  if (result) {
    // What an argument of type dyn leaves open is dyn: the value of dyn(x).value().
    if (std::has_single_bit(node->overloads) && !types.empty()) {
      for (const auto& [name, type] : open) {
        if (types_.resolve(type) == type) {
          static_cast<void>(types_.assignable(TypeKind::kDyn, type));
        }
      }
    }
    node->type = types_.resolve(*result);
    return;
  }
  node->overloads = ~std::uint64_t{0};
  node->type = strict_ ? TypeKind::kError : TypeKind::kDyn;
  std::vector<Type> shown;
  for (const Type& type : types) {
    shown.push_back(types_.resolve(type, true));
    if (shown.back().is(TypeKind::kError) && strict_) return;  // said already
  }
  report(node,
         "'" + std::string(shown_name(node->function->name)) + "' does not take " +
             shown_types(shown, node->is_method),
         overload_hint(*node->function, shown));
}

}  // namespace penstock::cel
