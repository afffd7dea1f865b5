// The listing of a program, for people.
#include <algorithm>
#include <array>
#include <string>

#include "cel/text.h"
#include "cel/vm/code.h"

namespace penstock::cel {
namespace {

constexpr std::array kOpNames = {
#define PENSTOCK_CEL_OP(name) std::string_view(#name),
    PENSTOCK_CEL_OPS(PENSTOCK_CEL_OP)
#undef PENSTOCK_CEL_OP
};

std::string shown(const Program::Code& code, Operand operand) {
  switch (base_of(operand)) {
    case Base::kSlot:
      return code.slot_names[index_of(operand)];
    case Base::kConstant:
      return to_text(code.constants[index_of(operand)]);
    default:
      return "r" + std::to_string(index_of(operand));
  }
}

bool is_test(Op op) { return op >= Op::kEqualElse && op <= Op::kTrueThen; }

bool jumps(Op op) {
  switch (op) {
    case Op::kJump:
    case Op::kJumpIfFalse:
    case Op::kJumpIfTrue:
    case Op::kBranch:
    case Op::kIterBegin:
    case Op::kIterNext:
    case Op::kAllStep:
    case Op::kExistsStep:
    case Op::kCountStep:
    case Op::kAppend:
    case Op::kAppendIf:
    case Op::kSkipUnless:
    case Op::kMapAdd:
    case Op::kMapAddAll:
      return true;
    default:
      return is_test(op) || op == Op::kSet;
  }
}

std::string operands_of(const Program::Code& code, const Instruction& in) {
  const auto listed = [&](std::uint32_t count) {
    std::string text;
    for (std::uint32_t i = 0; i < count; ++i) text += " " + shown(code, code.operands[in.a + i]);
    return text;
  };
  // Not every instruction has an operand there.
  const bool no_slot = base_of(in.a) == Base::kSlot && index_of(in.a) >= code.slot_names.size();
  std::string a = no_slot ? "" : " " + shown(code, in.a);
  switch (in.op) {
    case Op::kJump:
    case Op::kIterNext:
    case Op::kIterPair:
    case Op::kCountDone:
    case Op::kMapBegin:
    case Op::kMapDone:
      return "";
    case Op::kFail:
      return " \"" + code.failures[in.c].message + "\"";
    case Op::kCall1:
    case Op::kToDouble:
    case Op::kToInt:
    case Op::kSize:
      return " " + code.call_sites[in.c].function->name + a;
    case Op::kCall2:
      return " " + code.call_sites[in.c].function->name + a + " " + shown(code, in.b);
    case Op::kCall:
      return " " + code.call_sites[in.c].function->name + listed(in.b);
    case Op::kMakeList:
      return listed(in.b);
    case Op::kMakeMap:
      return listed(in.b * 2);
    case Op::kListBegin:
      return " r" + std::to_string(in.a);
    case Op::kReturn:
    case Op::kMove:
    case Op::kNot:
    case Op::kNegate:
    case Op::kJumpIfFalse:
    case Op::kJumpIfTrue:
    case Op::kTrueElse:
    case Op::kTrueThen:
    case Op::kSet:
    case Op::kBranch:
    case Op::kHasInput:
    case Op::kOptionalInput:
    case Op::kMatches:
    case Op::kIterBegin:
    case Op::kAllStep:
    case Op::kExistsStep:
    case Op::kCountStep:
    case Op::kAppend:
    case Op::kSkipUnless:
    case Op::kMapAddAll:
      return a;
    default:
      return a + " " + shown(code, in.b);
  }
}

// It leaves a value of its node's type in `dst`.
bool has_typed_result(Op op) {
  switch (op) {
    case Op::kReturn:
    case Op::kJump:
    case Op::kJumpIfFalse:
    case Op::kJumpIfTrue:
    case Op::kIterBegin:
    case Op::kIterNext:
    case Op::kIterPair:
    case Op::kListBegin:
    case Op::kAppend:
    case Op::kAppendIf:
    case Op::kSkipUnless:
    case Op::kMapBegin:
    case Op::kMapAdd:
    case Op::kMapAddAll:
      return false;
    default:
      return !is_test(op);
  }
}

bool has_result(Op op) {
  return op != Op::kReturn && op != Op::kJump && op != Op::kJumpIfFalse && op != Op::kJumpIfTrue &&
         !is_test(op);
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string counted(std::uint64_t operations) {
  return std::to_string(operations) + (operations == 1 ? " operation" : " operations");
}

std::string line_of(const Program::Code& code, std::size_t i) {
  const Instruction& in = code.instructions[i];
  const Position at = code.positions[i];
  std::string text = padded(std::to_string(i), 4);
  text += padded(std::to_string(at.line) + ":" + std::to_string(at.column), 7);
  if (has_result(in.op)) text += "r" + std::to_string(in.dst);
  if (has_typed_result(in.op)) text += ": " + code.types[i].to_string();
  if (has_result(in.op)) text += " = ";
  text += kOpNames[static_cast<std::size_t>(in.op)];
  text += operands_of(code, in);
  if (jumps(in.op)) text += " -> " + std::to_string(in.c);
  if (is_test(in.op)) text += ", error -> " + std::to_string(in.dst);
  return text + "\n";
}

}  // namespace

std::string to_string(const CostEstimate& cost) {
  std::string text = counted(cost.operations);
  for (const CostEstimate::Loop& loop : cost.loops) {
    text += ", and " + std::to_string(loop.operations) + " for every element";
    for (std::size_t i = loop.over.size(); i-- > 0;) {
      text += " of " + loop.over[i] + (i > 0 ? ", for every element" : "");
    }
  }
  return text;
}

std::string Program::explain() const {
  const Code& code = *code_;
  std::string text = "type   " + code.result_type.to_string() + "\nreads  ";
  for (std::size_t i = 0; i < code.slots_read.size(); ++i) {
    text += (i == 0 ? "" : ", ") + code.slot_names[code.slots_read[i]];
  }
  text += (code.slots_read.empty() ? "nothing" : "") + std::string("\ncost   ");
  text += to_string(code.cost) + "\n\n";
  for (std::size_t i = 0; i < code.instructions.size(); ++i) text += line_of(code, i);
  return text;
}

}  // namespace penstock::cel
