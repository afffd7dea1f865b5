// Several expressions compiled together: what they have in common is computed once.
//
// Place in the flow: `compute` adds every expression of a pipeline in the order in which a record
// goes through them, and gets back one list of steps to evaluate in that order. A shared
// subexpression becomes a step of its own, before the first expression that computes it for
// certain; its value goes into a slot, from which the others read it.
//
// Threads: one thread, at start. Ownership: keeps its own copy of the sources; no reference to an
// environment. Failure: diagnostics, as from compile().
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "cel/diagnostic.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"

namespace penstock::cel {

class ExpressionSet {
 public:
  // options.expected_type is given per expression instead.
  explicit ExpressionSet(const CompileOptions& options = {});
  ~ExpressionSet();
  ExpressionSet(ExpressionSet&&) noexcept;
  ExpressionSet& operator=(ExpressionSet&&) noexcept;

  // Parses and checks; the result is the expression's number: 0, 1, 2 …
  [[nodiscard]] std::expected<std::size_t, std::vector<Diagnostic>> add(
      std::string_view source, const Environment& environment, Type expected_type = TypeKind::kDyn);

  struct Step {
    std::size_t expression;  // whose step it is; of a shared value: whose text it stands in
    // The slot that the shared value goes into; none: it is the expression itself.
    std::optional<std::uint32_t> shared_slot;
    Program program;
  };
  struct Mistake {
    std::size_t expression;
    Diagnostic diagnostic;
  };
  // Once. In the order of evaluation; each expression has exactly one step without a shared slot.
  // Several sets may have the same inputs: each shares only what its own expressions have in
  // common.
  [[nodiscard]] std::expected<std::vector<Step>, Mistake> compile(Inputs& inputs);

 private:
  struct Expression;

  CompileOptions options_;
  std::vector<std::unique_ptr<Expression>> expressions_;
};

}  // namespace penstock::cel
