// From a checked tree to instructions.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string_view>

#include "cel/check/checker.h"
#include "cel/inputs.h"
#include "cel/syntax/ast.h"
#include "cel/vm/code.h"

namespace penstock::cel {

class Compiler {
 public:
  // Compiles the tree at `root`, which is ast.root or a part of it.
  Compiler(const Ast& ast, const Node* root, const CheckResult& checked, Inputs& inputs,
           const CompileOptions& options);

  // Once. Constant subexpressions are computed here, constant regular expressions compiled.
  [[nodiscard]] std::expected<Program, Diagnostic> compile();

 private:
  // Where a value goes: any operand will do, or it must be this register.
  using Wanted = std::optional<std::uint16_t>;

  Operand compile(const Node* node, Wanted wanted = {});
  void compile_into(const Node* node, std::uint16_t dst);
  Operand compile_input(const Node* node, Wanted wanted);
  Operand compile_select(const Node* node, Wanted wanted);
  Operand compile_call(const Node* node, Wanted wanted);
  Operand compile_operator(const Node* node, Op op, Wanted wanted);
  Operand hashed(Operand list);
  Operand compile_function(const Node* node, Wanted wanted);
  // A call of one of the function's `overloads`, a bit set.
  std::uint32_t call_site(const Function* function, bool is_method, std::size_t arguments,
                          std::uint64_t overloads = ~std::uint64_t{0});
  Operand compile_matches(const Node* node, Wanted wanted, bool* done);
  Operand compile_logic(const Node* node, Wanted wanted);
  Operand compile_logic_carefully(const Node* node, std::uint16_t dst);
  // The jumps of a condition that are not known yet where they go.
  struct Test {
    std::vector<std::uint32_t> jumps;       // when it is what was asked for
    std::vector<std::uint32_t> to_careful;  // when some part of it is not a bool
  };
  void compile_test(const Node* node, bool jump_when, Test& test);
  void compile_comparison_test(const Node* node, Op op, bool jump_when, Test& test);
  void land_careful(const Test& test);
  Operand compile_conditional(const Node* node, Wanted wanted);
  Operand compile_optional_or(const Node* node, Wanted wanted);
  Operand compile_list(const Node* node, Wanted wanted);
  Operand compile_map(const Node* node, Wanted wanted);
  Operand compile_bind(const Node* node, Wanted wanted);
  Operand compile_comprehension(const Node* node, Wanted wanted);
  void compile_round(const Node* node, std::uint16_t result, std::uint16_t iterator,
                     std::vector<std::uint32_t>& to_end);
  Operand fail(const Node* node, Wanted wanted, ErrorCode code, std::string message);

  // What was computed since `start` depends on no input and on no variable from outside: run it
  // now and keep the value instead. Otherwise `result`.
  struct Mark;
  [[nodiscard]] Mark mark() const;
  Operand fold(const Mark& mark, Operand result);

  std::uint32_t emit(const Node* at, Op op, std::uint16_t dst = 0, std::uint32_t a = 0,
                     std::uint32_t b = 0, std::uint32_t c = 0);
  void land(std::uint32_t jump);  // here
  [[nodiscard]] std::uint32_t here() const;

  void shorten_ends();
  void locate_all();
  std::uint32_t regex(const Node* pattern);
  Operand constant(const Value& value);
  std::uint16_t new_register(std::uint16_t count = 1);
  std::uint16_t target(Wanted wanted) { return wanted ? *wanted : new_register(); }
  void error(const Node* node, std::string message, std::string hint = {});

  const Ast& ast_;
  const Node* root_;
  Inputs& inputs_;
  std::unique_ptr<Program::Code> code_;
  std::vector<Operand> locals_;  // by Node::local
  std::uint32_t next_register_ = 0;
  std::uint64_t inputs_used_ = 0;
  std::uint32_t lowest_local_used_;
  std::uint32_t visible_locals_ = 0;                         // those below this number live outside
  std::map<std::string_view, std::uint32_t> regex_numbers_;  // by pattern
  std::uint64_t regex_instructions_ = 0;
  std::uint64_t fold_steps_;
  std::optional<Diagnostic> error_;
};

}  // namespace penstock::cel
