#include "cel/program.h"

#include <utility>

#include "cel/check/checker.h"
#include "cel/check/unify.h"
#include "cel/syntax/ast.h"
#include "cel/syntax/parser.h"
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
  if (source.size() > options.max_source_bytes) {
    return std::unexpected(std::vector{Diagnostic{
        1,
        1,
        "the expression is too long: " + std::to_string(source.size()) + " bytes; at most " +
            std::to_string(options.max_source_bytes) + " are allowed",
        {}}});
  }
  Ast ast;
  ast.source = source;
  if (auto mistake = parse(ast)) return std::unexpected(std::vector{std::move(*mistake)});
  CheckResult checked = check(ast, environment, options.type_check);
  if (!checked.diagnostics.empty()) return std::unexpected(std::move(checked.diagnostics));
  if (!Unifier().assignable(checked.type, options.expected_type)) {
    return std::unexpected(
        std::vector{Diagnostic{1,
                               1,
                               "the expression gives " + checked.type.to_string() + ", but " +
                                   options.expected_type.to_string() + " is wanted",
                               {}}});
  }
  auto program = Compiler(ast, checked, inputs, options).compile();
  if (!program) return std::unexpected(std::vector{std::move(program.error())});
  return std::move(*program);
}

}  // namespace penstock::cel
