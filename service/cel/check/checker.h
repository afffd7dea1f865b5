// Types, names and overloads: from a syntax tree to a resolved one.
//
// Gradual: what is dyn is left to run time, what is known is checked now. With `strict` off
// everything that does not check is left to run time too.
#pragma once

#include <vector>

#include "cel/diagnostic.h"
#include "cel/environment.h"
#include "cel/syntax/ast.h"
#include "cel/type.h"

namespace penstock::cel {

struct CheckResult {
  Type type;                            // of the whole expression
  std::vector<Diagnostic> diagnostics;  // empty: it checks
  std::uint32_t locals = 0;             // Node::local is below this
};

[[nodiscard]] CheckResult check(Ast& ast, const Environment& environment, bool strict);

}  // namespace penstock::cel
