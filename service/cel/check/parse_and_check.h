// From text to a checked tree: what one expression and a set of them have in common.
#pragma once

#include <expected>
#include <vector>

#include "cel/check/checker.h"
#include "cel/diagnostic.h"
#include "cel/environment.h"
#include "cel/program.h"
#include "cel/syntax/ast.h"

namespace penstock::cel {

// Parses ast.source, checks it, and holds its type against options.expected_type.
[[nodiscard]] std::expected<CheckResult, std::vector<Diagnostic>> parse_and_check(
    Ast& ast, const Environment& environment, const CompileOptions& options);

}  // namespace penstock::cel
