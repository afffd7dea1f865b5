// The interpreter's state: what the loop and its out-of-line half share.
#pragma once

#include <span>
#include <string_view>

#include "cel/eval_context.h"
#include "cel/vm/code.h"
#include "cel/vm/operators.h"

namespace penstock::cel {

struct Machine {
  const Program::Code& code;
  EvalContext& context;
  const Value* bases[3];
  Value* registers;

  [[nodiscard]] const Value& at(Operand operand) const noexcept {
    return bases[operand >> kOperandBaseShift][operand & kOperandIndexMask];
  }

  [[nodiscard]] Argument argument(Operand operand) const noexcept {
    std::string_view name;
    if (base_of(operand) == Base::kSlot) name = code.slot_names[index_of(operand)];
    return {at(operand), name};
  }

  void locate(const Instruction* instruction) const noexcept {
    context.position =
        code.positions[static_cast<std::size_t>(instruction - code.instructions.data())];
  }

  // Any instruction that only computes `dst`, for operands of any kinds, errors included.
  Value slow(const Instruction& in);

 private:
  Value call(const CallSite& site, std::span<const Operand> operands);
  Value dispatch(const CallSite& site, std::span<const Value> args);
  Value make_list(const Instruction& in);
  Value make_map(const Instruction& in);
};

}  // namespace penstock::cel
