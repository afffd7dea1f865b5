#include "cel/program.h"

#include <utility>

#include "cel/check/parse_and_check.h"
#include "cel/syntax/ast.h"
#include "cel/vm/code.h"
#include "cel/vm/compiler.h"

namespace penstock::cel {

Program::Program(std::unique_ptr<const Code> code) noexcept : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

const Type& Program::result_type() const noexcept { return code_->result_type; }

std::span<const std::uint32_t> Program::slots_read() const noexcept { return code_->slots_read; }

std::optional<std::uint32_t> Program::direct_input() const noexcept { return code_->direct_input; }

const CostEstimate& Program::cost() const noexcept { return code_->cost; }

std::optional<Value> Program::constant() const noexcept { return code_->constant; }

Value Program::evaluate(std::span<const Value> slots, Arena& arena, Frame& frame) const {
  const Code& code = *code_;
  assert(code.slots_read.empty() || code.slots_read.back() < slots.size());
  if (frame.registers_.size() < code.register_count) frame.registers_.resize(code.register_count);
  EvalContext context{arena, code.max_steps};
  return run(code, 0, slots.data(), frame.registers_.data(), context);
}

std::expected<Program, std::vector<Diagnostic>> compile(std::string_view source,
                                                        const Environment& environment,
                                                        Inputs& inputs,
                                                        const CompileOptions& options) {
  Ast ast;
  ast.source = source;
  auto checked = parse_and_check(ast, environment, options);
  if (!checked) return std::unexpected(std::move(checked.error()));
  auto program = Compiler(ast, ast.root, *checked, inputs, options).compile();
  if (!program) return std::unexpected(std::vector{std::move(program.error())});
  return std::move(*program);
}

}  // namespace penstock::cel
