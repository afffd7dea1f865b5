// Text to tree: recursive descent with a bound on nesting, macros expanded on the way.
#pragma once

#include <optional>
#include <string_view>

#include "cel/diagnostic.h"
#include "cel/syntax/ast.h"

namespace penstock::cel {

// Parses ast.source into ast.root. The first mistake ends it. Without `macros`, calls of macros
// stay calls.
[[nodiscard]] std::optional<Diagnostic> parse(Ast& ast, bool macros = true);

}  // namespace penstock::cel
