#include "cel/check/checker.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cel/check/check_pass.h"
#include "cel/syntax/habits.h"
#include "cel/syntax/position.h"
#include "text/nearest_names.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kMaxDiagnostics = 20;

// line1 and line2 are two fields, and none is a slip of the pen.
std::string without_digits(std::string_view name) {
  std::string rest(name);
  std::erase_if(rest, [](char c) { return c >= '0' && c <= '9'; });
  return rest;
}

}  // namespace

CheckResult check(Ast& ast, const Environment& environment, bool strict) {
  return CheckPass(ast, environment, strict).run();
}

CheckResult CheckPass::run() {
  check_value(ast_.root);
  for (Node& node : ast_.nodes) node.type = types_.resolve(node.type, true);
  return {types_.resolve(ast_.root->type, true), std::move(diagnostics_), next_local_};
}

void CheckPass::report(const Node* node, std::string message, std::string hint) {
  if (!strict_ || diagnostics_.size() >= kMaxDiagnostics) return;
  diagnostics_.push_back(
      diagnostic_at(ast_.source, node->offset, std::move(message), std::move(hint)));
}

std::vector<std::string_view> CheckPass::names_in_reach() const {
  std::vector<std::string_view> names;
  for (const Local& local : scope_) names.push_back(local.name);
  for (const auto& [name, variable] : environment_.variables()) names.push_back(name);
  return names;
}

const CheckPass::Local* CheckPass::find_local(std::string_view name) const {
  for (std::size_t i = scope_.size(); i-- > 0;) {
    if (scope_[i].name == name) return &scope_[i];
  }
  return nullptr;
}

std::optional<std::string> CheckPass::qualified_name(const Node* node) const {
  if (node->kind == NodeKind::kIdent) {
    if (find_local(node->name) != nullptr) return std::nullopt;
    return std::string(node->name);
  }
  if (node->kind != NodeKind::kSelect || node->test_only || node->is_optional) {
    return std::nullopt;
  }
  std::optional<std::string> prefix = qualified_name(node->target);
  if (prefix) *prefix += "." + std::string(node->name);
  return prefix;
}

bool CheckPass::resolve_name(Node* node, std::string_view name) {
  return candidates(name, [&](std::string_view candidate) {
    if (const Environment::Variable* variable = environment_.find(candidate)) {
      node->resolution = Resolution::kInput;
      node->input = {variable->name, {}, variable->is_document};
      node->type = variable->type;
      return true;
    }
    bool is_type = false;
    Type type = type_named(candidate, &is_type);
    if (!is_type) return false;
    node->resolution = Resolution::kTypeName;
    node->literal = Value::of_type(ast_.text.copy(candidate));
    node->type = Type::type(std::move(type));
    return true;
  });
}

void CheckPass::check_value(Node* node) {
  check_node(node);
  require_value(node);
}

void CheckPass::require_value(const Node* node) {
  if (node->resolution != Resolution::kInput || !node->input.segments.empty()) return;
  const Environment::Variable* variable = environment_.find(node->input.root);
  if (variable == nullptr || !variable->fields_only) return;
  std::string fields;
  for (const Field& field : variable->type.fields()) {
    fields += (fields.empty() ? "" : ", ") + field.name;
  }
  report(node, "'" + variable->name + "' is not a value; use one of its fields",
         "it has: " + fields);
}

void CheckPass::check_node(Node* node) {
  switch (node->kind) {
    case NodeKind::kLiteral:
      node->type = literal_type(node->literal);
      return;
    case NodeKind::kIdent:
      return check_ident(node);
    case NodeKind::kSelect:
      return check_select(node);
    case NodeKind::kCall:
      return check_call(node);
    case NodeKind::kList:
      return check_list(node);
    case NodeKind::kMap:
      return check_map(node);
    case NodeKind::kComprehension:
      return check_comprehension(node);
    case NodeKind::kBind:
      check_value(node->args[0]);
      node->local = declare_local(node->variable, node->args[0]->type);
      check_value(node->args[1]);
      scope_.pop_back();
      node->type = node->args[1]->type;
      return;
  }
}

Type CheckPass::literal_type(const Value& literal) {
  switch (literal.kind()) {
    case Kind::kBool:
      return TypeKind::kBool;
    case Kind::kInt:
      return TypeKind::kInt;
    case Kind::kUint:
      return TypeKind::kUint;
    case Kind::kDouble:
      return TypeKind::kDouble;
    case Kind::kString:
      return TypeKind::kString;
    case Kind::kBytes:
      return TypeKind::kBytes;
    default:
      return TypeKind::kNull;
  }
}

std::uint32_t CheckPass::declare_local(std::string_view name, Type type) {
  scope_.push_back({name, std::move(type), next_local_});
  return next_local_++;
}

void CheckPass::check_ident(Node* node) {
  if (const Local* local = find_local(node->name)) {
    node->resolution = Resolution::kLocal;
    node->local = local->number;
    node->type = local->type;
    return;
  }
  if (resolve_name(node, node->name)) return;
  node->type = TypeKind::kError;
  const std::string name(node->name);
  std::string hint(habit_of_name(name));
  if (hint.empty()) hint = text::did_you_mean(node->name, names_in_reach());
  if (hint.empty() && environment_.find_function(name) != nullptr) {
    hint = "'" + name + "' is a function: write " + name + "(…)";
  }
  report(node, "undeclared name '" + name + "'", std::move(hint));
}

void CheckPass::check_select(Node* node) {
  if (const auto name = qualified_name(node)) {
    // The root of the chain decides, unless the whole chain is a declared name.
    if (resolve_name(node, *name)) return;
  }
  check_node(node->target);
  const Node* target = node->target;
  const bool through_optional = select(node, node->name);
  if (node->type.is(TypeKind::kError)) return;
  if (node->is_optional && !through_optional) {
    node->type = Type::optional(node->type);
  }
  if (node->test_only) node->type = TypeKind::kBool;
  extend_input(node, target, node->name);
}

void CheckPass::extend_input(Node* node, const Node* target, std::string_view field) {
  if (target->resolution != Resolution::kInput || !target->input.extensible) return;
  node->resolution = Resolution::kInput;
  node->input = target->input;
  node->input.segments.emplace_back(field);
  node->input.extensible = false;
  report_misspelt(node);
  if (node->test_only) return;
  bool is_object = node->type.is_dyn();
  if (const Environment::Variable* variable = environment_.find(node->input.root)) {
    if (std::optional<Type> type = variable->declared_type(node->input.segments)) {
      is_object = type->is_dyn() || type->certain().is(TypeKind::kMap);
      node->type = node->is_optional ? Type::optional(std::move(*type)) : std::move(*type);
    }
  }
  node->input.extensible = is_object && !node->is_optional;
}

void CheckPass::report_misspelt(const Node* node) {
  const Environment::Variable* const variable = environment_.find(node->input.root);
  if (variable == nullptr || !variable->declared.is(TypeKind::kRecord)) return;
  const std::vector<std::string>& path = node->input.segments;
  const Type* parent = &variable->declared;
  std::string name = node->input.root;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    const Field* const field = parent->find_field(path[i]);
    if (field == nullptr || !field->type.is(TypeKind::kRecord)) return;
    parent = &field->type;
    name += "." + path[i];
  }
  if (parent->find_field(path.back()) != nullptr) return;
  std::vector<std::string_view> names;
  for (const Field& field : parent->fields()) names.push_back(field.name);
  const std::string_view meant = text::nearest(path.back(), names);
  if (meant.empty() || without_digits(meant) == without_digits(path.back())) return;
  report(node, "'" + path.back() + "' is not declared of '" + name + "'",
         "did you mean '" + std::string(meant) + "'? If not, declare it, too: " + path.back() +
             ": dyn");
}

void CheckPass::check_list(Node* node) {
  std::optional<Type> element;
  for (std::size_t i = 0; i < node->args.size(); ++i) {
    check_value(node->args[i]);
    Type type = node->args[i]->type;
    if (i < node->optional_args.size() && node->optional_args[i]) {
      type = unwrap(node->args[i], type);
    }
    element = element ? types_.join(*element, type) : type;
  }
  node->type = Type::list(element ? *element : types_.fresh());
}

void CheckPass::check_map(Node* node) {
  std::optional<Type> key;
  std::optional<Type> value;
  for (std::size_t i = 0; i + 1 < node->args.size(); i += 2) {
    check_value(node->args[i]);
    check_value(node->args[i + 1]);
    const Type key_type = types_.resolve(node->args[i]->type);
    if (!is_key(key_type)) {
      report(node->args[i],
             "a map's key is a bool, int, uint or string, not " + key_type.to_string());
    }
    Type value_type = node->args[i + 1]->type;
    if (i / 2 < node->optional_args.size() && node->optional_args[i / 2]) {
      value_type = unwrap(node->args[i + 1], value_type);
    }
    key = key ? types_.join(*key, is_key(key_type) ? key_type : Type()) : key_type;
    value = value ? types_.join(*value, value_type) : value_type;
  }
  // Keys of other types do not get here when checking is strict; types stay small.
  if (key && !is_key(*key)) key = TypeKind::kDyn;
  node->type = Type::map(key ? *key : types_.fresh(), value ? *value : types_.fresh());
}

bool CheckPass::is_key(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBool:
    case TypeKind::kInt:
    case TypeKind::kUint:
    case TypeKind::kString:
    case TypeKind::kDyn:
    case TypeKind::kParam:
    case TypeKind::kError:
      return true;
    default:
      return false;
  }
}

}  // namespace penstock::cel
