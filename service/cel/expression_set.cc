#include "cel/expression_set.h"

#include <string>
#include <utility>

#include "cel/check/parse_and_check.h"
#include "cel/syntax/ast.h"
#include "cel/vm/compiler.h"
#include "cel/vm/share.h"
#include "text/utf8.h"

namespace penstock::cel {
struct ExpressionSet::Expression {
  std::string source;
  Ast ast;
  CheckResult checked;
};

namespace {

// A part of an expression as its author wrote it, shortened.
std::string source_of(const Node& node, std::string_view source) {
  constexpr std::size_t kLongest = 80;
  if (node.end <= node.begin) return "…";
  const std::string_view whole = source.substr(node.begin, node.end - node.begin);
  if (whole.size() <= kLongest) return std::string(whole);
  return std::string(text::cut_utf8(whole, kLongest)) + "…";
}

}  // namespace

ExpressionSet::ExpressionSet(const CompileOptions& options) : options_(options) {}
ExpressionSet::~ExpressionSet() = default;
ExpressionSet::ExpressionSet(ExpressionSet&&) noexcept = default;
ExpressionSet& ExpressionSet::operator=(ExpressionSet&&) noexcept = default;

std::expected<std::size_t, std::vector<Diagnostic>> ExpressionSet::add(
    std::string_view source, const Environment& environment, Type expected_type) {
  auto expression = std::make_unique<Expression>();
  expression->source = source;
  expression->ast.source = expression->source;
  options_.expected_type = std::move(expected_type);
  auto checked = parse_and_check(expression->ast, environment, options_);
  if (!checked) return std::unexpected(std::move(checked.error()));
  expression->checked = std::move(*checked);
  expressions_.push_back(std::move(expression));
  return expressions_.size() - 1;
}

std::expected<std::vector<ExpressionSet::Step>, ExpressionSet::Mistake> ExpressionSet::compile(
    Inputs& inputs) {
  std::vector<Ast*> trees;
  for (const auto& expression : expressions_) trees.push_back(&expression->ast);
  const auto is_taken = [&inputs](std::size_t number) {
    const std::string segment = std::to_string(number);
    return inputs.find(kSharedRoot, {&segment, 1}).has_value();
  };
  std::size_t first = 0;  // another set may share these inputs
  while (is_taken(first)) ++first;
  const std::vector<SharedNode> shared = share(trees, first);

  std::vector<Step> steps;
  std::optional<Mistake> wrong;
  const auto compile_step = [&](std::size_t i, const Node* root,
                                std::optional<std::uint32_t> slot) {
    const Expression& expression = *expressions_[i];
    auto program = Compiler(expression.ast, root, expression.checked, inputs, options_).compile();
    if (program) {
      steps.push_back({i, slot, std::move(*program)});
    } else if (!wrong) {
      wrong = Mistake{i, std::move(program.error())};
    }
  };
  auto next_shared = shared.begin();
  for (std::size_t i = 0; i < expressions_.size(); ++i) {
    for (; next_shared != shared.end() && next_shared->owner == i; ++next_shared) {
      const std::uint32_t slot = inputs.add(next_shared->input.root, next_shared->input.segments);
      inputs.show_as(slot, source_of(*next_shared->node, expressions_[i]->source));
      compile_step(i, next_shared->node, slot);
    }
    compile_step(i, trees[i]->root, std::nullopt);
  }
  if (wrong) return std::unexpected(std::move(*wrong));
  return steps;
}

}  // namespace penstock::cel
