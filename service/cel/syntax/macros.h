// Calls that are not functions: has, all, exists, map, cel.bind …
#pragma once

#include <cstdint>
#include <string>

#include "cel/syntax/ast.h"

namespace penstock::cel {

struct MacroError {
  std::uint32_t offset = 0;
  std::string message;  // empty: no error
};

// The tree that stands for the call; the call itself when it is not a macro.
[[nodiscard]] Node* expand_macro(Ast& ast, Node* call, MacroError& error);

// A new node; `depth` is set by seal().
[[nodiscard]] Node* make_node(Ast& ast, NodeKind kind, std::uint32_t offset);
// Call when a node has all its children: computes its depth.
void seal(Node* node);

}  // namespace penstock::cel
