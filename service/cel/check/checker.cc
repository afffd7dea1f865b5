#include "cel/check/checker.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "cel/check/suggest.h"
#include "cel/check/unify.h"
#include "cel/library/library.h"
#include "cel/syntax/position.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kMaxDiagnostics = 20;

struct Local {
  std::string_view name;
  Type type;
  std::uint32_t number;
};

class Checker {
 public:
  Checker(Ast& ast, const Environment& environment, bool strict)
      : ast_(ast), environment_(environment), strict_(strict) {}

  CheckResult run() {
    check_value(ast_.root);
    return {types_.resolve(ast_.root->type, true), std::move(diagnostics_), next_local_};
  }

 private:
  // ---- Messages ------------------------------------------------------------------------------

  void report(const Node* node, std::string message, std::string hint = {}) {
    if (!strict_ || diagnostics_.size() >= kMaxDiagnostics) return;
    diagnostics_.push_back(
        diagnostic_at(ast_.source, node->offset, std::move(message), std::move(hint)));
  }

  std::vector<std::string_view> names_in_reach() const {
    std::vector<std::string_view> names;
    for (const Local& local : scope_) names.push_back(local.name);
    for (const auto& [name, variable] : environment_.variables()) names.push_back(name);
    return names;
  }

  static std::vector<std::string_view> function_names(bool methods) {
    std::vector<std::string_view> names;
    for (const Function& function : all_functions()) {
      if (function.overloads.front().is_method == methods) names.push_back(function.name);
    }
    return names;
  }

  // ---- Names ---------------------------------------------------------------------------------

  const Local* find_local(std::string_view name) const {
    for (std::size_t i = scope_.size(); i-- > 0;) {
      if (scope_[i].name == name) return &scope_[i];
    }
    return nullptr;
  }

  // Calls `accept` with the names that `name` may stand for, the innermost namespace first, until
  // it returns true.
  template <typename Accept>
  bool candidates(std::string_view name, const Accept& accept) const {
    if (name.starts_with('.')) return accept(name.substr(1));
    std::string container = environment_.container();
    while (!container.empty()) {
      if (accept(std::string_view(container + "." + std::string(name)))) return true;
      const std::size_t dot = container.rfind('.');
      container.resize(dot == std::string::npos ? 0 : dot);
    }
    return accept(name);
  }

  // "a.b.c" for a chain of selects on a name that is not a macro's variable.
  std::optional<std::string> qualified_name(const Node* node) const {
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

  bool resolve_name(Node* node, std::string_view name) {
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

  // ---- Nodes ---------------------------------------------------------------------------------

  // A node whose value is wanted as a whole.
  void check_value(Node* node) {
    check_node(node);
    require_value(node);
  }

  void require_value(const Node* node) {
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

  void check_node(Node* node) {
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

  static Type literal_type(const Value& literal) {
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

  std::uint32_t declare_local(std::string_view name, Type type) {
    scope_.push_back({name, std::move(type), next_local_});
    return next_local_++;
  }

  void check_ident(Node* node) {
    if (const Local* local = find_local(node->name)) {
      node->resolution = Resolution::kLocal;
      node->local = local->number;
      node->type = local->type;
      return;
    }
    if (resolve_name(node, node->name)) return;
    node->type = TypeKind::kError;
    const std::string name(node->name);
    std::string hint = did_you_mean(node->name, names_in_reach());
    if (hint.empty() && find_function(name) != nullptr) {
      hint = "'" + name + "' is a function: write " + name + "(…)";
    }
    report(node, "undeclared name '" + name + "'", std::move(hint));
  }

  void check_select(Node* node) {
    if (const auto name = qualified_name(node)) {
      // The root of the chain decides, unless the whole chain is a declared name.
      if (resolve_name(node, *name)) return;
    }
    check_node(node->target);
    const Node* target = node->target;
    select(node, node->name);
    if (node->type.is(TypeKind::kError)) return;
    if (node->is_optional && !node->type.is(TypeKind::kOptional)) {
      node->type = Type::optional(node->type);
    }
    if (node->test_only) node->type = TypeKind::kBool;
    extend_input(node, target, node->name);
  }

  void extend_input(Node* node, const Node* target, std::string_view field) {
    if (target->resolution != Resolution::kInput || !target->input.extensible) return;
    node->resolution = Resolution::kInput;
    node->input = target->input;
    node->input.segments.emplace_back(field);
    node->input.extensible =
        !node->test_only && !node->is_optional && (node->type.is_dyn() || node->type.is(TypeKind::kRecord));
  }

  // The type of `field` of the node's target (args[0] of an index).
  void select(Node* node, std::string_view field) {
    const Node* target = node->kind == NodeKind::kSelect ? node->target : node->args[0];
    Type type = types_.resolve(target->type);
    const bool through_optional = type.is(TypeKind::kOptional);
    if (through_optional) type = types_.resolve(type.element());
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
        std::string hint = did_you_mean(field, names);
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
  }

  void check_list(Node* node) {
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

  // Of an element written [?x].
  Type unwrap(const Node* node, const Type& type) {
    const Type resolved = types_.resolve(type);
    if (resolved.is(TypeKind::kOptional)) return resolved.element();
    if (!resolved.is_dyn() && !resolved.is(TypeKind::kError)) {
      report(node, "'?' needs an optional value here, not " + resolved.to_string());
    }
    return TypeKind::kDyn;
  }

  void check_map(Node* node) {
    std::optional<Type> key;
    std::optional<Type> value;
    for (std::size_t i = 0; i + 1 < node->args.size(); i += 2) {
      check_value(node->args[i]);
      check_value(node->args[i + 1]);
      const Type key_type = types_.resolve(node->args[i]->type);
      if (!is_key(key_type)) {
        report(node->args[i], "a map's key is a bool, int, uint or string, not " +
                                  key_type.to_string());
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

  static bool is_key(const Type& type) {
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

  void check_comprehension(Node* node) {
    check_value(node->target);
    Type range = types_.resolve(node->target->type);
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
          report(node->args.back(), "the transform must give a map, not " +
                                        transformed.to_string());
        }
        node->type = transformed.is(TypeKind::kMap) ? transformed : Type();
        break;
      default:
        node->type = TypeKind::kBool;
    }
  }

  // ---- Calls ---------------------------------------------------------------------------------

  void check_call(Node* node) {
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
        node->function = find_function(name);
        return node->function != nullptr;
      });
    }
    node->resolution = Resolution::kFunction;
    if (node->function == nullptr) {
      node->type = strict_ ? TypeKind::kError : TypeKind::kDyn;
      const std::string name(node->name);
      report(node, "there is no function '" + name + "'",
             did_you_mean(node->name, function_names(node->is_method)));
      return;
    }
    resolve_overloads(node, types);
  }

  // msg["a"], record["topic"]: a select in other words.
  bool index_is_field(Node* node) {
    const Node* target = node->args[0];
    const Node* index = node->args[1];
    const bool constant = index->kind == NodeKind::kLiteral && index->literal.is_string();
    const Type type = types_.resolve(target->type);
    if (!constant || !(type.is(TypeKind::kRecord) || (type.is_dyn() && target->input.extensible))) {
      return false;
    }
    if (node->name != op::kIndex) return false;
    select(node, index->literal.as_string());
    if (!node->type.is(TypeKind::kError)) extend_input(node, target, index->literal.as_string());
    return node->resolution == Resolution::kInput || node->type.is(TypeKind::kError);
  }

  // math.greatest(1, 2): the "target" is a namespace.
  void resolve_qualified_call(Node* node, const std::string& prefix) {
    candidates(prefix, [&](std::string_view candidate) {
      if (environment_.find(candidate) != nullptr) return true;
      const std::string name = std::string(candidate) + "." + std::string(node->name);
      const Function* function = find_function(name);
      if (function == nullptr) return false;
      node->name = function->name;
      node->function = function;
      node->target = nullptr;
      node->is_method = false;
      return true;
    });
  }

  void check_logic(Node* node) {
    for (const Node* arg : node->args) {
      if (types_.assignable(arg->type, TypeKind::kBool)) continue;
      report(arg,
             "both sides of " + std::string(shown_name(node->name)) + " are bool; this is " +
                 types_.resolve(arg->type, true).to_string(),
             "compare it with something, or test it with has()");
    }
    node->type = TypeKind::kBool;
  }

  void resolve_overloads(Node* node, const std::vector<Type>& types) {
    std::optional<Type> result;
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
      } else if (!(*result == type)) {
        result = TypeKind::kDyn;
      }
    }
    if (result) {
      node->type = std::move(*result);
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

  Ast& ast_;
  const Environment& environment_;
  const bool strict_;
  Unifier types_;
  std::vector<Local> scope_;
  std::uint32_t next_local_ = 0;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace

CheckResult check(Ast& ast, const Environment& environment, bool strict) {
  return Checker(ast, environment, strict).run();
}

}  // namespace penstock::cel
