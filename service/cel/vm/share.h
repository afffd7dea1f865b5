// Finds what several expressions compute in common.
//
// Two subexpressions are the same if they have the same operators, functions, literals and inputs;
// the names of macro variables do not matter. One is shared if it is worth it, occurs at least
// twice, and is computed for certain, which means that no condition, no && or || and no macro
// stands between it and the root of some expression: so nothing is computed that nobody asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cel/syntax/ast.h"

namespace penstock::cel {

// The root of the inputs that stand for shared values; no variable can have this name.
inline constexpr std::string_view kSharedRoot = "@shared";

struct SharedNode {
  std::size_t owner;  // the expression that it was taken out of, and is evaluated before
  Node* node;         // in the owner's tree
  InputUse input;     // what stands in its places now
};

// Takes common subexpressions out of checked trees, which are evaluated in this order. What comes
// back is in the order of evaluation: a shared value may use those before it. Their inputs are
// numbered from `first` on.
[[nodiscard]] std::vector<SharedNode> share(std::span<Ast* const> expressions, std::size_t first);

}  // namespace penstock::cel
