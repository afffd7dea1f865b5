// The checker at work on one tree; see checker.h for what it does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cel/check/checker.h"
#include "cel/check/unify.h"
#include "cel/library/library.h"

namespace penstock::cel {

class CheckPass {
 public:
  CheckPass(Ast& ast, const Environment& environment, bool strict)
      : ast_(ast), environment_(environment), strict_(strict) {}

  [[nodiscard]] CheckResult run();

 private:
  struct Local {
    std::string_view name;
    Type type;
    std::uint32_t number;
  };

  void report(const Node* node, std::string message, std::string hint = {});
  std::vector<std::string_view> names_in_reach() const;
  static std::vector<std::string_view> function_names(bool methods);
  const Local* find_local(std::string_view name) const;
  // "a.b.c" for a chain of selects on a name that is not a macro's variable.
  std::optional<std::string> qualified_name(const Node* node) const;
  bool resolve_name(Node* node, std::string_view name);
  // A node whose value is wanted as a whole.
  void check_value(Node* node);
  void require_value(const Node* node);
  void check_node(Node* node);
  static Type literal_type(const Value& literal);
  std::uint32_t declare_local(std::string_view name, Type type);
  void check_ident(Node* node);
  void check_select(Node* node);
  void extend_input(Node* node, const Node* target, std::string_view field);
  // Of a document part of which is declared: a field that is not, beside one of nearly its name.
  void report_misspelt(const Node* node);
  // The type of `field` of the node's target (args[0] of an index); true: an optional one, for it
  // is that of what an optional target holds.
  bool select(Node* node, std::string_view field);
  void check_list(Node* node);
  // Of an element written [?x].
  Type unwrap(const Node* node, const Type& type);
  void check_map(Node* node);
  static bool is_key(const Type& type);
  void check_comprehension(Node* node);
  void check_call(Node* node);
  // msg["a"], record["topic"]: a select in other words.
  bool index_is_field(Node* node);
  // math.greatest(1, 2): the "target" is a namespace.
  void resolve_qualified_call(Node* node, const std::string& prefix);
  void check_logic(Node* node);
  void resolve_overloads(Node* node, const std::vector<Type>& types);

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

  Ast& ast_;
  const Environment& environment_;
  const bool strict_;
  Unifier types_;
  std::vector<Local> scope_;
  std::uint32_t next_local_ = 0;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace penstock::cel
