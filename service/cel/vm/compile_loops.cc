// The compiler: lists, maps, bindings and macros.
#include <optional>
#include <utility>

#include "cel/vm/compiler.h"

namespace penstock::cel {

Operand Compiler::compile_list(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  std::vector<Operand> operands;
  bool any_optional = false;
  for (std::size_t i = 0; i < node->args.size(); ++i) {
    operands.push_back(compile(node->args[i]));
    any_optional = any_optional || node->optional_args[i];
  }
  std::uint32_t flags = 0;
  if (any_optional) {
    code_->optional_flags.push_back(node->optional_args);
    flags = static_cast<std::uint32_t>(code_->optional_flags.size());
  }
  const auto first = static_cast<std::uint32_t>(code_->operands.size());
  code_->operands.insert(code_->operands.end(), operands.begin(), operands.end());
  emit(node, Op::kMakeList, dst, first, static_cast<std::uint32_t>(operands.size()), flags);
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

Operand Compiler::compile_map(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  std::vector<Operand> operands;
  for (const Node* arg : node->args) operands.push_back(compile(arg));
  bool any_optional = false;
  for (const bool optional : node->optional_args) any_optional = any_optional || optional;
  std::uint32_t flags = 0;
  if (any_optional) {
    code_->optional_flags.push_back(node->optional_args);
    flags = static_cast<std::uint32_t>(code_->optional_flags.size());
  }
  const auto first = static_cast<std::uint32_t>(code_->operands.size());
  code_->operands.insert(code_->operands.end(), operands.begin(), operands.end());
  emit(node, Op::kMakeMap, dst, first, static_cast<std::uint32_t>(operands.size() / 2), flags);
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

Operand Compiler::compile_bind(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  locals_[node->local] = compile(node->args[0]);
  const std::uint32_t outside = std::exchange(visible_locals_, node->local + 1);
  compile_into(node->args[1], dst);
  visible_locals_ = outside;
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

// begin → [pair] → body → next round → (done); every way out lands behind it.
Operand Compiler::compile_comprehension(const Node* node, Wanted wanted) {
  const bool has_two = !node->variable2.empty();
  // A list that grows needs a second register right behind the result.
  const bool builds_list = node->macro == Macro::kMap || node->macro == Macro::kFilter;
  const bool takes_register = builds_list || !wanted;
  const std::uint32_t before = next_register_;
  const std::uint16_t dst = target(builds_list ? Wanted{} : wanted);
  if (builds_list) new_register();
  const std::uint16_t iterator = new_register(kIterRegisters);
  const std::uint32_t kept = next_register_;
  const Operand range = compile(node->target);
  next_register_ = kept;

  Value initial = Value::of_bool(node->macro == Macro::kAll);
  if (node->macro == Macro::kExistsOne) initial = Value::of_int(0);
  std::vector<std::uint32_t> to_end;
  std::vector<std::uint32_t> to_done;
  const bool builds_map =
      node->macro == Macro::kTransformMap || node->macro == Macro::kTransformMapEntry;
  if (builds_list) {
    // Room is made for the range's elements: the range goes into the iterator's place first.
    emit(node, Op::kMove, iterator, range);
    emit(node, Op::kListBegin, dst, iterator);
  } else if (builds_map) {
    emit(node, Op::kMapBegin, dst);
  } else {
    emit(node, Op::kMove, dst, constant(initial));
  }
  to_done.push_back(emit(node, Op::kIterBegin, iterator, range, dst));

  locals_[node->local] = make_operand(Base::kRegister, std::uint32_t{iterator} + kIterFirst);
  std::uint32_t visible = node->local + 1;
  if (has_two) {
    locals_[node->local2] = make_operand(Base::kRegister, std::uint32_t{iterator} + kIterSecond);
    visible = node->local2 + 1;
  }
  const std::uint32_t outside = std::exchange(visible_locals_, visible);
  const std::uint32_t round = here();
  if (has_two) emit(node, Op::kIterPair, iterator);
  compile_round(node, dst, iterator, to_end);
  const std::uint32_t cost = here() - round + 1;
  emit(node, Op::kIterNext, iterator, 0, cost, round);
  visible_locals_ = outside;

  for (const std::uint32_t jump : to_done) land(jump);
  if (node->macro == Macro::kExistsOne) emit(node, Op::kCountDone, dst);
  if (builds_map) emit(node, Op::kMapDone, dst);
  for (const std::uint32_t jump : to_end) land(jump);
  next_register_ = before + (takes_register ? 1 : 0);
  return make_operand(Base::kRegister, dst);
}

void Compiler::compile_round(const Node* node, std::uint16_t result, std::uint16_t iterator,
                             std::vector<std::uint32_t>& to_end) {
  const std::uint32_t kept = next_register_;
  const Operand element = make_operand(Base::kRegister, std::uint32_t{iterator} + kIterFirst);
  const Node* predicate = node->args[0];
  switch (node->macro) {
    case Macro::kAll:
      to_end.push_back(emit(predicate, Op::kAllStep, result, compile(predicate)));
      break;
    case Macro::kExists:
      to_end.push_back(emit(predicate, Op::kExistsStep, result, compile(predicate)));
      break;
    case Macro::kExistsOne:
      to_end.push_back(emit(predicate, Op::kCountStep, result, compile(predicate)));
      break;
    case Macro::kFilter:
      to_end.push_back(emit(predicate, Op::kAppendIf, result, compile(predicate), element));
      break;
    default: {
      std::optional<std::uint32_t> skip;
      if (node->args.size() == 2) {
        skip = emit(predicate, Op::kSkipUnless, result, compile(predicate));
        to_end.push_back(*skip);
        next_register_ = kept;
      }
      const Node* transform = node->args.back();
      const Operand value = compile(transform);
      if (node->macro == Macro::kMap) {
        to_end.push_back(emit(transform, Op::kAppend, result, value));
      } else if (node->macro == Macro::kTransformMap) {
        to_end.push_back(emit(transform, Op::kMapAdd, result, element, value));
      } else {
        to_end.push_back(emit(transform, Op::kMapAddAll, result, value));
      }
      if (skip) {
        code_->instructions[*skip].b = here();
      }
    }
  }
  next_register_ = kept;
}

}  // namespace penstock::cel
