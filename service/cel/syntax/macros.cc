#include "cel/syntax/macros.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::cel {
namespace {

struct ComprehensionMacro {
  std::string_view name;
  Macro macro;
  std::uint8_t variables;  // 1, 2; 3: either
  bool optional_filter;    // may have a predicate before the transform
};

constexpr std::array<ComprehensionMacro, 9> kComprehensions = {{
    {"all", Macro::kAll, 3, false},
    {"exists", Macro::kExists, 3, false},
    {"exists_one", Macro::kExistsOne, 3, false},
    {"existsOne", Macro::kExistsOne, 3, false},
    {"filter", Macro::kFilter, 1, false},
    {"map", Macro::kMap, 1, true},
    {"transformList", Macro::kMap, 2, true},
    {"transformMap", Macro::kTransformMap, 2, true},
    {"transformMapEntry", Macro::kTransformMapEntry, 2, true},
}};

class Expander {
 public:
  Expander(Ast& ast, Node* call, MacroError& error) : ast_(ast), call_(call), error_(error) {}

  Node* expand() {
    if (!call_->is_method) {
      if (call_->name == "has" && call_->args.size() == 1) return expand_has();
      if (call_->name == "coalesce") return expand_coalesce();
      return call_;
    }
    const std::string_view name = call_->name;
    const std::size_t count = call_->args.size();
    if (is_namespace("cel")) {
      if (name == "bind" && count == 3) return expand_bind();
      if (name == "block" && count == 2) return expand_block();
      if (name == "index" && count == 1) return made_up_name("@index");
      if (name == "iterVar" && count == 2) return made_up_name("@it");
      if (name == "accuVar" && count == 2) return made_up_name("@ac");
    }
    if (is_namespace("math") && (name == "greatest" || name == "least")) return expand_extreme();
    if (name == "optMap" && count == 2) return expand_opt_map(true);
    if (name == "optFlatMap" && count == 2) return expand_opt_map(false);
    if (name == "sortBy" && count == 2) return expand_sort_by();
    for (const ComprehensionMacro& macro : kComprehensions) {
      if (macro.name != name) continue;
      for (const std::size_t variables : {std::size_t{1}, std::size_t{2}}) {
        if ((macro.variables & variables) == 0) continue;
        const std::size_t rest = count - std::min(count, variables);
        if (rest == 1 || (rest == 2 && macro.optional_filter)) {
          return expand_comprehension(macro.macro, variables);
        }
      }
    }
    return call_;
  }

 private:
  Node* fail(const Node* at, std::string message) {
    error_ = {at->offset, std::move(message)};
    return call_;
  }

  [[nodiscard]] bool is_namespace(std::string_view name) const {
    return call_->target->kind == NodeKind::kIdent && call_->target->name == name;
  }

  Node* make(NodeKind kind) { return make_node(ast_, kind, call_->offset); }

  Node* ident(std::string_view name) {
    Node* node = make(NodeKind::kIdent);
    node->name = name;
    return node;
  }

  Node* call(std::string_view name, Node* target, std::vector<Node*> args) {
    Node* node = make(NodeKind::kCall);
    node->name = name;
    node->target = target;
    node->is_method = target != nullptr;
    node->args = std::move(args);
    seal(node);
    return node;
  }

  Node* bind(std::string_view variable, Node* value, Node* body) {
    Node* node = make(NodeKind::kBind);
    node->variable = variable;
    node->args = {value, body};
    seal(node);
    return node;
  }

  // Empty after an error.
  std::string_view variable(Node* node) {
    if (node->kind == NodeKind::kIdent && !node->name.starts_with('.')) return node->name;
    fail(node, std::string(call_->name) + "() needs a simple name here, for its variable");
    return {};
  }

  Node* expand_has() {
    Node* field = call_->args[0];
    if (field->kind != NodeKind::kSelect || field->test_only || field->is_optional) {
      return fail(field, "has() takes a field selection, like has(msg.field)");
    }
    field->test_only = true;
    return field;
  }

  // a.b.c as a.?b.?c, a[b] as a[?b]; false: it looks nothing up.
  static bool make_optional(Node* node) {
    if (node->kind == NodeKind::kSelect && !node->test_only) {
      node->is_optional = true;
      make_optional(node->target);
      return true;
    }
    const bool is_index = node->kind == NodeKind::kCall && !node->is_method &&
                          (node->name == op::kIndex || node->name == op::kOptionalIndex);
    if (!is_index) return false;
    node->name = op::kOptionalIndex;
    make_optional(node->args[0]);
    return true;
  }

  // bind @it = @ofNonNull(a.?b): @it.hasValue() ? @it.value() : (the same of the other arguments)
  Node* expand_coalesce() {
    if (call_->args.size() < 2) return fail(call_, "coalesce() takes two arguments or more");
    Node* result = call_->args.back();
    for (std::size_t i = call_->args.size() - 1; i-- > 0;) {
      Node* value = call_->args[i];
      if (!make_optional(value)) value = call("of", ident("optional"), {value});
      Node* has_value = call("hasValue", ident("@it"), {});
      Node* it = call("value", ident("@it"), {});
      result = bind("@it", call("@ofNonNull", nullptr, {value}),
                    call(op::kConditional, nullptr, {has_value, it, result}));
    }
    return result;
  }

  Node* expand_bind() {
    const std::string_view name = variable(call_->args[0]);
    return bind(name, call_->args[1], call_->args[2]);
  }

  // cel.block([a, b], e): e with @index0 = a, @index1 = b.
  Node* expand_block() {
    const Node* list = call_->args[0];
    if (list->kind != NodeKind::kList) return fail(list, "cel.block() takes a list first");
    Node* body = call_->args[1];
    for (std::size_t i = list->args.size(); i-- > 0;) {
      body = bind(ast_.text.copy("@index:" + std::to_string(i)), list->args[i], body);
    }
    return body;
  }

  static bool is_literally_no_number(const Node* node) {
    if (node->kind == NodeKind::kLiteral) {
      return !node->literal.is_int() && !node->literal.is_uint() && !node->literal.is_double();
    }
    return node->kind == NodeKind::kList || node->kind == NodeKind::kMap;
  }

  // math.least(a, b, c): of any number of arguments, as one list.
  Node* expand_extreme() {
    const bool one_list = call_->args.size() == 1 && call_->args[0]->kind == NodeKind::kList;
    const std::vector<Node*>& numbers = one_list ? call_->args[0]->args : call_->args;
    const std::string name = "math." + std::string(call_->name) + "()";
    if (numbers.empty()) return fail(call_, name + " needs at least one number");
    for (const Node* number : numbers) {
      if (is_literally_no_number(number)) return fail(number, name + " takes numbers");
    }
    if (numbers.size() <= 2 || one_list) return call_;
    Node* list = make(NodeKind::kList);
    list->args = std::move(call_->args);
    list->optional_args.resize(list->args.size());
    seal(list);
    call_->args = {list};
    return call_;
  }

  Node* made_up_name(std::string prefix) {
    for (const Node* arg : call_->args) {
      if (arg->kind != NodeKind::kLiteral || !arg->literal.is_int() || arg->literal.as_int() < 0) {
        return fail(arg, "a number that is not negative must stand here");
      }
      prefix += ':' + std::to_string(arg->literal.as_int());
    }
    return ident(ast_.text.copy(prefix));
  }

  // bind @opt = target: @opt.hasValue() ? optional.of(bind v = @opt.value(): e) : optional.none()
  Node* expand_opt_map(bool wrap) {
    const std::string_view name = variable(call_->args[0]);
    Node* body = bind(name, call("value", ident("@opt"), {}), call_->args[1]);
    if (wrap) body = call("of", ident("optional"), {body});
    Node* none = call("none", ident("optional"), {});
    Node* has_value = call("hasValue", ident("@opt"), {});
    return bind("@opt", call_->target, call(op::kConditional, nullptr, {has_value, body, none}));
  }

  // bind @list = target: @list.@sortByKeys(@list.map(v, e))
  Node* expand_sort_by() {
    const std::string_view name = variable(call_->args[0]);
    Node* keys = make(NodeKind::kComprehension);
    keys->macro = Macro::kMap;
    keys->target = ident("@list");
    keys->variable = name;
    keys->args = {call_->args[1]};
    seal(keys);
    return bind("@list", call_->target, call("@sortByKeys", ident("@list"), {keys}));
  }

  Node* expand_comprehension(Macro macro, std::size_t variables) {
    Node* node = make(NodeKind::kComprehension);
    node->macro = macro;
    node->target = call_->target;
    node->variable = variable(call_->args[0]);
    if (variables == 2) {
      node->variable2 = variable(call_->args[1]);
      if (node->variable == node->variable2) {
        return fail(call_->args[1], "the two variables of a macro need different names");
      }
    }
    node->args.assign(call_->args.begin() + static_cast<std::ptrdiff_t>(variables),
                      call_->args.end());
    return node;
  }

  Ast& ast_;
  Node* call_;
  MacroError& error_;
};

}  // namespace

Node* make_node(Ast& ast, NodeKind kind, std::uint32_t offset) {
  Node& node = ast.nodes.emplace_back();
  node.kind = kind;
  node.offset = offset;
  return &node;
}

void seal(Node* node) {
  std::uint32_t deepest = node->target == nullptr ? 0 : node->target->depth;
  for (const Node* arg : node->args) deepest = std::max(deepest, arg->depth);
  node->depth = deepest + 1;
}

Node* expand_macro(Ast& ast, Node* call, MacroError& error) {
  return Expander(ast, call, error).expand();
}

}  // namespace penstock::cel
