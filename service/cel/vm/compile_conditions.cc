// The compiler: conditions.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "cel/vm/compiler.h"

namespace penstock::cel {

// Conditions are compiled twice where it pays: first as bare branches, which leave for the careful
// form, with its absorbing of errors, as soon as some part is not a bool. Expressions have no side
// effects, so starting again is only a matter of time.
namespace {

constexpr std::uint32_t kLastShortAddress = 60'000;  // Instruction::dst holds an address here

std::optional<Op> comparison(const Node* node) {
  if (node->kind != NodeKind::kCall || node->resolution == Resolution::kInput) return std::nullopt;
  if (node->name == op::kEqual) return Op::kEqual;
  if (node->name == op::kNotEqual) return Op::kNotEqual;
  if (node->name == op::kLess) return Op::kLess;
  if (node->name == op::kLessEqual) return Op::kLessEqual;
  if (node->name == op::kGreater) return Op::kGreater;
  if (node->name == op::kGreaterEqual) return Op::kGreaterEqual;
  return std::nullopt;
}

bool is_call(const Node* node, std::string_view name) {
  return node->kind == NodeKind::kCall && node->name == name;
}

bool is_logic(const Node* node) { return is_call(node, op::kAnd) || is_call(node, op::kOr); }

// No conditions and loops inside: compiling it twice costs little, however deep it stands.
bool is_straight(const Node* node) {
  if (node->kind == NodeKind::kComprehension || is_logic(node) || is_call(node, op::kConditional)) {
    return false;
  }
  if (node->target != nullptr && !is_straight(node->target)) return false;
  return std::ranges::all_of(node->args, is_straight);
}

bool is_quick(const Node* node) {
  if (is_logic(node) || is_call(node, op::kNot)) return std::ranges::all_of(node->args, is_quick);
  return is_straight(node);
}

}  // namespace

Operand Compiler::compile_logic(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  if (!is_quick(node) || here() > kLastShortAddress) return compile_logic_carefully(node, dst);
  Test test;
  compile_test(node, false, test);
  const std::uint32_t yes = emit(node, Op::kSet, dst, constant(Value::of_bool(true)));
  for (const std::uint32_t jump : test.jumps) land(jump);
  const std::uint32_t no = emit(node, Op::kSet, dst, constant(Value::of_bool(false)));
  land_careful(test);
  const Operand result = compile_logic_carefully(node, dst);
  land(yes);
  land(no);
  return result;
}

// Emits branches that jump when the condition is `jump_when` and otherwise go on.
void Compiler::compile_test(const Node* node, bool jump_when, Test& test) {
  const std::uint32_t kept = next_register_;
  if (is_call(node, op::kNot)) return compile_test(node->args[0], !jump_when, test);
  if (is_logic(node)) {
    // Of ||, every operand that is true decides; of &&, every one that is false.
    const bool decides = node->name == op::kOr;
    if (jump_when == decides) {
      for (const Node* arg : node->args) compile_test(arg, jump_when, test);
      return;
    }
    Test skip;
    for (std::size_t i = 0; i + 1 < node->args.size(); ++i) {
      compile_test(node->args[i], decides, skip);
    }
    compile_test(node->args.back(), jump_when, test);
    for (const std::uint32_t jump : skip.jumps) land(jump);
    test.to_careful.insert(test.to_careful.end(), skip.to_careful.begin(), skip.to_careful.end());
    return;
  }
  if (const auto op = comparison(node)) {
    compile_comparison_test(node, *op, jump_when, test);
  } else {
    const Operand operand = compile(node);
    const std::uint32_t jump = emit(node, jump_when ? Op::kTrueThen : Op::kTrueElse, 0, operand);
    test.jumps.push_back(jump);
    test.to_careful.push_back(jump);
  }
  next_register_ = kept;
}

void Compiler::compile_comparison_test(const Node* node, Op op, bool jump_when, Test& test) {
  const Operand a = compile(node->args[0]);
  const Operand b = compile(node->args[1]);
  const auto first = static_cast<std::uint16_t>(jump_when ? Op::kEqualThen : Op::kEqualElse);
  const auto which = static_cast<std::uint16_t>(static_cast<std::uint16_t>(op) -
                                                static_cast<std::uint16_t>(Op::kEqual));
  const std::uint32_t jump = emit(node, static_cast<Op>(first + which), 0, a, b);
  test.jumps.push_back(jump);
  test.to_careful.push_back(jump);
}

void Compiler::land_careful(const Test& test) {
  if (here() > std::numeric_limits<std::uint16_t>::max()) {
    error(root_, "the expression is too large: it needs too many instructions");
    return;
  }
  for (const std::uint32_t jump : test.to_careful) {
    code_->instructions[jump].dst = static_cast<std::uint16_t>(here());
  }
}

// a && b && c: each operand decides by a jump to the end, or is combined with what was so far.
Operand Compiler::compile_logic_carefully(const Node* node, std::uint16_t dst) {
  const bool is_and = node->name == op::kAnd;
  const Operand result = make_operand(Base::kRegister, dst);
  const std::uint32_t kept = next_register_;
  const auto compile_part = [&](const Node* part, std::uint16_t into) {
    return is_logic(part) ? compile_logic_carefully(part, into) : compile(part, into);
  };
  std::vector<std::uint32_t> to_end;
  const Operand head = compile_part(node->args[0], dst);
  if (head != result) emit(node->args[0], Op::kMove, dst, head);
  for (std::size_t i = 1; i < node->args.size(); ++i) {
    to_end.push_back(emit(node, is_and ? Op::kJumpIfFalse : Op::kJumpIfTrue, 0, result));
    const Operand operand = compile_part(node->args[i], new_register());
    emit(node->args[i], is_and ? Op::kAnd : Op::kOr, dst, result, operand);
    next_register_ = kept;
  }
  for (const std::uint32_t from : to_end) land(from);
  return result;
}

Operand Compiler::compile_conditional(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  const Node* condition = node->args[0];
  const bool quick = is_quick(condition) && here() <= kLastShortAddress;
  Test test;
  std::uint32_t branch = 0;
  if (quick) {
    compile_test(condition, false, test);
  } else {
    branch = emit(node, Op::kBranch, dst, compile(condition));
  }
  next_register_ = kept;
  const std::uint32_t then = here();
  compile_into(node->args[1], dst);
  const std::uint32_t over = emit(node, Op::kJump);
  if (!quick) land(branch);
  for (const std::uint32_t jump : test.jumps) land(jump);
  const std::uint32_t otherwise = here();
  next_register_ = kept;
  compile_into(node->args[2], dst);
  next_register_ = kept;
  if (quick) {
    const std::uint32_t over_careful = emit(node, Op::kJump);
    land_careful(test);
    const Operand value = is_logic(condition) ? compile_logic_carefully(condition, new_register())
                                              : compile(condition);
    branch = emit(node, Op::kBranch, dst, value, 0, otherwise);
    emit(node, Op::kJump, 0, 0, 0, then);
    land(over_careful);
    next_register_ = kept;
  }
  land(over);
  code_->instructions[branch].b = here();
  return make_operand(Base::kRegister, dst);
}

// a.or(b), a.orValue(b): b is looked at only if a is empty, so its errors do not count before.
Operand Compiler::compile_optional_or(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  const Operand optional = compile(node->target);
  const std::uint16_t has_value = new_register();
  emit(node, Op::kCall1, has_value, optional, 0, call_site(find_function("hasValue"), true, 1));
  const std::uint32_t full =
      emit(node, Op::kJumpIfTrue, 0, make_operand(Base::kRegister, has_value));
  // Also for what is no optional: an error of this function's own.
  const Operand other = compile(node->args[0]);
  emit(node, Op::kCall2, dst, optional, other, call_site(node->function, true, 2));
  const std::uint32_t over = emit(node, Op::kJump);
  land(full);
  if (node->name == "or") {
    emit(node, Op::kMove, dst, optional);
  } else {
    emit(node, Op::kCall1, dst, optional, 0, call_site(find_function("value"), true, 1));
  }
  land(over);
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

}  // namespace penstock::cel
