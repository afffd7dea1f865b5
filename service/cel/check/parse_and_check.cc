#include "cel/check/parse_and_check.h"

#include <string>
#include <utility>

#include "cel/check/unify.h"
#include "cel/syntax/parser.h"

namespace penstock::cel {
namespace {

std::unexpected<std::vector<Diagnostic>> refuse(std::string message) {
  return std::unexpected(std::vector{Diagnostic{1, 1, std::move(message), {}}});
}

}  // namespace

std::expected<CheckResult, std::vector<Diagnostic>> parse_and_check(Ast& ast,
                                                                    const Environment& environment,
                                                                    const CompileOptions& options) {
  if (ast.source.size() > options.max_source_bytes) {
    return refuse("the expression is too long: " + std::to_string(ast.source.size()) +
                  " bytes; at most " + std::to_string(options.max_source_bytes) + " are allowed");
  }
  if (auto mistake = parse(ast, options.expand_macros))
    return std::unexpected(std::vector{std::move(*mistake)});
  CheckResult checked = check(ast, environment, options.type_check);
  if (!checked.diagnostics.empty()) return std::unexpected(std::move(checked.diagnostics));
  if (!Unifier().assignable(checked.type, options.expected_type)) {
    return refuse("the expression gives " + checked.type.to_string() + ", but " +
                  options.expected_type.to_string() + " is wanted");
  }
  return checked;
}

}  // namespace penstock::cel
