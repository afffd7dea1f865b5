// The compiled form: a flat array of instructions over 16-byte registers.
//
// Operands name a value in one of three arrays by the two bits at the top: input slots, constants,
// registers. Every instruction with a result writes it to register `dst`; an error is a result like
// any other, so an instruction checks its operands' kinds, finds the common case in one compare and
// leaves the rest (other types, errors, absent inputs) to a function out of line.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cel/library/library.h"
#include "cel/program.h"
#include "cel/syntax/position.h"

namespace re2 {
class RE2;
}

namespace penstock::cel {

using Operand = std::uint32_t;

enum class Base : std::uint32_t { kSlot = 0, kConstant = 1, kRegister = 2 };
inline constexpr std::uint32_t kOperandBaseShift = 30;
inline constexpr std::uint32_t kOperandIndexMask = (std::uint32_t{1} << kOperandBaseShift) - 1;

[[nodiscard]] constexpr Operand make_operand(Base base, std::uint32_t index) noexcept {
  return (static_cast<std::uint32_t>(base) << kOperandBaseShift) | index;
}
[[nodiscard]] constexpr Base base_of(Operand operand) noexcept {
  return static_cast<Base>(operand >> kOperandBaseShift);
}
[[nodiscard]] constexpr std::uint32_t index_of(Operand operand) noexcept {
  return operand & kOperandIndexMask;
}

// X(name): the order is that of the evaluator's switch.
#define PENSTOCK_CEL_OPS(X)                                                                     \
  X(Return)      /* a */                                                                        \
  X(Move)        /* dst = a; an absent input becomes an error */                                \
  X(Jump)        /* to c */                                                                     \
  X(JumpIfFalse) /* a, to c; anything but false goes on */                                      \
  X(JumpIfTrue)  /* a, to c */                                                                  \
  X(Branch)      /* a true: go on; false: to c; else dst = error, to b */                       \
  X(And)         /* dst = a && b */                                                             \
  X(Or)          /* dst = a || b */                                                             \
  X(Not)         /* dst = !a */                                                                 \
  X(Negate)      /* dst = -a */                                                                 \
  X(Add)         /* dst = a + b, and so on */                                                   \
  X(Subtract)                                                                                   \
  X(Multiply)                                                                                   \
  X(Divide)                                                                                     \
  X(Modulo)                                                                                     \
  X(Equal)                                                                                      \
  X(NotEqual)                                                                                   \
  X(Less)                                                                                       \
  X(LessEqual)                                                                                  \
  X(Greater)                                                                                    \
  X(GreaterEqual)                                                                               \
  X(EqualElse) /* a == b true: go on; false: to c; an error: to dst; and so on */               \
  X(NotEqualElse)                                                                               \
  X(LessElse)                                                                                   \
  X(LessEqualElse)                                                                              \
  X(GreaterElse)                                                                                \
  X(GreaterEqualElse)                                                                           \
  X(EqualThen) /* a == b true: to c; false: go on; an error: to dst; and so on */               \
  X(NotEqualThen)                                                                               \
  X(LessThen)                                                                                   \
  X(LessEqualThen)                                                                              \
  X(GreaterThen)                                                                                \
  X(GreaterEqualThen)                                                                           \
  X(TrueElse) /* the same for the bool a itself */                                              \
  X(TrueThen)                                                                                   \
  X(Set)            /* dst = constant a, then to c */                                           \
  X(In)             /* dst = a in b */                                                          \
  X(Index)          /* dst = a[b] */                                                            \
  X(Select)         /* dst = a.(constant b) */                                                  \
  X(Has)            /* dst = has(a.(constant b)) */                                             \
  X(HasInput)       /* dst = has(slot a), whose path has c segments */                          \
  X(OptionalSelect) /* dst = a.?(constant b) */                                                 \
  X(OptionalIndex)  /* dst = a[?b] */                                                           \
  X(OptionalInput)  /* dst = slot a (path of c segments) as an optional */                      \
  X(ToDouble)       /* dst = double(a) */                                                       \
  X(ToInt)          /* dst = int(a) */                                                          \
  X(Size)           /* dst = size(a) */                                                         \
  X(MakeList)       /* dst = [operands a … a+b-1]; c: 0, or 1 + index of the optional flags */  \
  X(MakeMap)        /* dst = {operands a … a+2b-1}; c as above */                               \
  X(Call1)          /* dst = call site c (a) */                                                 \
  X(Call2)          /* dst = call site c (a, b) */                                              \
  X(Call)           /* dst = call site c (operands a … a+b-1) */                                \
  X(Matches)        /* dst = a matches regular expression c */                                  \
  X(Fail)           /* dst = error: failure c */                                                \
  X(IterBegin)  /* dst: iterator over a; empty: to c; not iterable: register b = error, to c */ \
  X(IterNext)   /* dst: next element, to c; after the last: go on. b: cost of a round */        \
  X(IterPair)   /* dst: the variables become index and element, or stay key and value */        \
  X(AllStep)    /* dst = dst && a; false: to c */                                               \
  X(ExistsStep) /* dst = dst || a; true: to c */                                                \
  X(CountStep)  /* dst counts how often a is true; error: dst = error, to c */                  \
  X(CountDone)  /* dst = dst == 1 */                                                            \
  X(ListBegin)  /* dst, dst+1: empty list with room for the elements of iterator a */           \
  X(Append)     /* add a to list dst; error: dst = error, to c */                               \
  X(AppendIf)   /* add b to list dst if a is true; error: dst = error, to c */                  \
  X(SkipUnless) /* a false: to b; a not a bool: dst = error, to c */                            \
  X(MapBegin)   /* dst: empty map builder */                                                    \
  X(MapAdd)     /* add key a, value b to dst; error: dst = error, to c */                       \
  X(MapAddAll)  /* add the entries of map a to dst; error: dst = error, to c */                 \
  X(MapDone)    /* dst: the map */

enum class Op : std::uint16_t {
#define PENSTOCK_CEL_OP(name) k##name,
  PENSTOCK_CEL_OPS(PENSTOCK_CEL_OP)
#undef PENSTOCK_CEL_OP
};

struct Instruction {
  Op op = Op::kReturn;
  std::uint16_t dst = 0;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
};
static_assert(sizeof(Instruction) == 16);

// The registers of an iterator, from its first.
inline constexpr std::uint16_t kIterFirst = 2;   // the first variable
inline constexpr std::uint16_t kIterSecond = 3;  // the second one
inline constexpr std::uint16_t kIterRegisters = 4;

// A call that is dispatched by the arguments' kinds: the overloads that the checker left.
struct CallSite {
  const Function* function = nullptr;
  bool is_method = false;
  std::vector<const Overload*> overloads;
};

struct Failure {
  ErrorCode code;
  std::string message;
};

struct Program::Code {
  std::vector<Instruction> instructions;
  std::vector<Position> positions;  // one per instruction
  std::vector<Type> types;          // likewise: of the node it is for
  std::vector<Value> constants;
  std::vector<Operand> operands;  // of calls, lists and maps
  std::vector<CallSite> call_sites;
  std::vector<std::unique_ptr<const re2::RE2>> regexes;
  std::vector<std::vector<bool>> optional_flags;
  std::vector<Failure> failures;
  std::vector<std::string> slot_names;  // by slot; empty for those that are not read
  std::vector<std::uint32_t> slots_read;
  Arena text{std::size_t{4} << 20, 512};    // what constants point to: literals
  Arena folded{std::size_t{1} << 20, 512};  // and what was computed of them
  Type result_type;
  std::optional<std::uint32_t> direct_input;
  std::optional<Value> constant;
  CostEstimate cost;
  std::uint32_t register_count = 0;
  std::uint64_t max_steps = 0;

  Code();
  ~Code();
};

// Runs from instruction `start` to a Return. `registers` has room for register_count.
[[nodiscard]] Value run(const Program::Code& code, std::uint32_t start, const Value* slots,
                        Value* registers, EvalContext& context);

}  // namespace penstock::cel
