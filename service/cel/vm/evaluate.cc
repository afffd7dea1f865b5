// The interpreter loop. Here is only what is common and cheap; operators.h has the rest.
#include <cstring>
#include <limits>

#include <re2/re2.h>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/vm/code.h"
#include "cel/vm/operators.h"
#include "cel/vm/rounds.h"

namespace penstock::cel {
namespace {

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
    context.position = code.positions[static_cast<std::size_t>(instruction - code.instructions.data())];
  }

  Value call(const CallSite& site, std::span<const Operand> operands);
  Value dispatch(const CallSite& site, std::span<const Value> args);
  Value make_list(const Instruction& in);
  Value make_map(const Instruction& in);
  Value slow(const Instruction& in);
};

Value Machine::dispatch(const CallSite& site, std::span<const Value> args) {
  for (const Overload* overload : site.overloads) {
    bool matches = true;
    for (std::size_t i = 0; i < args.size(); ++i) {
      matches = matches && (overload->kinds[i] & kind_bit(args[i].kind())) != 0;
    }
    if (matches) return overload->implementation(context, args);
  }
  std::string types;
  for (std::size_t i = site.is_method ? 1 : 0; i < args.size(); ++i) {
    if (!types.empty()) types += ", ";
    types += to_string(args[i].kind());
  }
  const std::string_view receiver = site.is_method ? to_string(args[0].kind()) : std::string_view();
  return context.fail(ErrorCode::kNoSuchOverload,
                      {"no such overload: ", receiver, site.is_method ? "." : "",
                       site.function->name, "(", types, ")"});
}

Value Machine::call(const CallSite& site, std::span<const Operand> operands) {
  Value args[kMaxParameters];
  for (std::size_t i = 0; i < operands.size(); ++i) {
    args[i] = at(operands[i]);
    if (args[i].is_error() || args[i].is_absent()) [[unlikely]] {
      return error_of(context, argument(operands[i]));
    }
  }
  return dispatch(site, {args, operands.size()});
}

Value Machine::make_list(const Instruction& in) {
  ListBuilder list(context.arena, in.b);
  const std::vector<bool>* optional = in.c == 0 ? nullptr : &code.optional_flags[in.c - 1];
  for (std::uint32_t i = 0; i < in.b; ++i) {
    const Operand operand = code.operands[in.a + i];
    const Value& value = at(operand);
    if (value.is_error() || value.is_absent()) return error_of(context, argument(operand));
    if (optional == nullptr || !(*optional)[i]) {
      list.add(value);
    } else if (!value.is_optional()) {
      return context.fail(ErrorCode::kNoSuchOverload, {"no such overload: [?", to_string(value.kind()), "]"});
    } else if (value.as_optional() != nullptr) {
      list.add(*value.as_optional());
    }
  }
  return list.finish();
}

Value Machine::make_map(const Instruction& in) {
  MapBuilder map(context.arena, in.b);
  const std::vector<bool>* optional = in.c == 0 ? nullptr : &code.optional_flags[in.c - 1];
  for (std::uint32_t i = 0; i < in.b; ++i) {
    const Operand key = code.operands[in.a + 2 * i];
    const Operand entry = code.operands[in.a + 2 * i + 1];
    for (const Operand operand : {key, entry}) {
      const Value& value = at(operand);
      if (value.is_error() || value.is_absent()) return error_of(context, argument(operand));
    }
    if (!is_map_key(at(key).kind()) || at(key).is_double()) {
      return context.fail(ErrorCode::kInvalidArgument,
                          {"a map's key cannot be ", to_string(at(key).kind())});
    }
    const Value& value = at(entry);
    if (optional == nullptr || !(*optional)[i]) {
      map.add(at(key), value);
    } else if (!value.is_optional()) {
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: {?…: ", to_string(value.kind()), "}"});
    } else if (value.as_optional() != nullptr) {
      map.add(at(key), *value.as_optional());
    }
  }
  const Value result = map.finish();
  if (map.had_duplicates()) {
    return context.fail(ErrorCode::kInvalidArgument, {"a map has the same key twice"});
  }
  return result;
}

// Everything but jumps and rounds, for any kinds.
[[gnu::noinline]] Value Machine::slow(const Instruction& in) {
  locate(&in);
  switch (in.op) {
    case Op::kMove: {
      const Value error = error_of(context, argument(in.a));
      return error.is_error() ? error : at(in.a);
    }
    case Op::kNot:
      return logical_not(context, argument(in.a));
    case Op::kNegate:
      return negate(context, argument(in.a));
    case Op::kAnd:
    case Op::kOr:
      return logic(context, in.op, argument(in.a), argument(in.b));
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide:
    case Op::kModulo:
      return arithmetic(context, in.op, argument(in.a), argument(in.b));
    case Op::kIn:
      return contains(context, argument(in.a), argument(in.b));
    case Op::kIndex:
      return index(context, argument(in.a), argument(in.b));
    case Op::kSelect:
      return select(context, argument(in.a), at(in.b).as_string());
    case Op::kHas:
      return has(context, argument(in.a), at(in.b).as_string());
    case Op::kHasInput:
      return has_input(context, argument(in.a), in.c);
    case Op::kOptionalSelect:
    case Op::kOptionalIndex:
      return optional_index(context, argument(in.a), argument(in.b));
    case Op::kOptionalInput:
      return optional_input(context, argument(in.a), in.c);
    case Op::kMakeList:
      return make_list(in);
    case Op::kMakeMap:
      return make_map(in);
    case Op::kToDouble:
    case Op::kToInt:
    case Op::kSize:
    case Op::kCall1:
      return call(code.call_sites[in.c], {&in.a, 1});
    case Op::kCall2: {
      const Operand operands[2] = {in.a, in.b};
      return call(code.call_sites[in.c], operands);
    }
    case Op::kCall:
      return call(code.call_sites[in.c], std::span(code.operands).subspan(in.a, in.b));
    case Op::kMatches: {
      const Value& text = at(in.a);
      if (text.is_string()) {
        const std::string_view s = text.as_string();
        return Value::of_bool(re2::RE2::PartialMatch({s.data(), s.size()}, *code.regexes[in.c]));
      }
      const Value error = error_of(context, argument(in.a));
      if (error.is_error()) return error;
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: ", to_string(text.kind()), ".matches(string)"});
    }
    case Op::kFail:
      return context.fail(code.failures[in.c].code, {code.failures[in.c].message});
    default:
      return {};
  }
}

// One of the six comparisons on values whose kinds make it simple. False: they do not.
template <Op kOp>
[[gnu::always_inline]] inline bool compare_fast(const Value& a, const Value& b, bool* result) {
  const auto decide = [](auto x, auto y) {
    if constexpr (kOp == Op::kEqual) return x == y;
    if constexpr (kOp == Op::kNotEqual) return x != y;
    if constexpr (kOp == Op::kLess) return x < y;
    if constexpr (kOp == Op::kLessEqual) return x <= y;
    if constexpr (kOp == Op::kGreater) return x > y;
    if constexpr (kOp == Op::kGreaterEqual) return x >= y;
  };
  if (a.kind() != b.kind()) {
    // A literal without a decimal point against a number of a document that has one.
    if (a.is_double() && b.is_int() && b.as_int() < (1 << 30) && b.as_int() > -(1 << 30)) {
      *result = decide(a.as_double(), static_cast<double>(b.as_int()));
      return true;
    }
    return false;
  }
  switch (a.kind()) {
    case Kind::kInt:
      *result = decide(a.as_int(), b.as_int());
      return true;
    case Kind::kDouble:
      *result = decide(a.as_double(), b.as_double());
      return true;
    case Kind::kString:
      if constexpr (kOp == Op::kEqual || kOp == Op::kNotEqual) {
        *result = decide(a.as_string(), b.as_string());
        return true;
      }
      return false;
    default:
      return false;
  }
}

template <Op kOp>
[[gnu::always_inline]] inline Value compare_any(Machine& machine, const Instruction& in) {
  bool result = false;
  if (compare_fast<kOp>(machine.at(in.a), machine.at(in.b), &result)) [[likely]] {
    return Value::of_bool(result);
  }
  machine.locate(&in);
  return compare_values(machine.context, kOp, machine.argument(in.a), machine.argument(in.b));
}

bool is_true(const Value& value) noexcept { return value.is_bool() && value.as_bool(); }
bool is_false(const Value& value) noexcept { return value.is_bool() && !value.as_bool(); }

}  // namespace

Value run(const Program::Code& code, std::uint32_t start, const Value* slots, Value* registers,
          EvalContext& context) {
  Machine machine{code, context, {slots, code.constants.data(), registers}, registers};
  const Instruction* const first = code.instructions.data();
  const Instruction* in = first + start;

#define CASE_COMPARE(name)                                                        \
  case Op::k##name:                                                               \
    registers[in->dst] = compare_any<Op::k##name>(machine, *in);                  \
    ++in;                                                                         \
    break;                                                                        \
  case Op::k##name##JumpIfFalse: {                                                \
    const Value result = compare_any<Op::k##name>(machine, *in);                  \
    registers[in->dst] = result;                                                  \
    in = is_false(result) ? first + in->c : in + 1;                               \
    break;                                                                        \
  }                                                                               \
  case Op::k##name##JumpIfTrue: {                                                 \
    const Value result = compare_any<Op::k##name>(machine, *in);                  \
    registers[in->dst] = result;                                                  \
    in = is_true(result) ? first + in->c : in + 1;                                \
    break;                                                                        \
  }

#define CASE_ARITHMETIC(name, overflow_builtin, op)                                  \
  case Op::k##name: {                                                                \
    const Value& a = machine.at(in->a);                                              \
    const Value& b = machine.at(in->b);                                              \
    std::int64_t result;                                                             \
    if (a.is_double() && b.is_double()) {                                            \
      registers[in->dst] = Value::of_double(a.as_double() op b.as_double());         \
    } else if (a.is_int() && b.is_int() &&                                           \
               !overflow_builtin(a.as_int(), b.as_int(), &result)) {                 \
      registers[in->dst] = Value::of_int(result);                                    \
    } else {                                                                         \
      registers[in->dst] = machine.slow(*in);                                        \
    }                                                                                \
    ++in;                                                                            \
    break;                                                                           \
  }

  for (;;) {
    switch (in->op) {
      case Op::kReturn: {
        const Value& result = machine.at(in->a);
        if (!result.is_absent() || code.direct_input) return result;
        machine.locate(in);
        return error_of(context, machine.argument(in->a));
      }
      case Op::kMove: {
        const Value& a = machine.at(in->a);
        registers[in->dst] = a.is_absent() ? machine.slow(*in) : a;
        ++in;
        break;
      }
      case Op::kJump:
        in = first + in->c;
        break;
      case Op::kJumpIfFalse:
        in = is_false(machine.at(in->a)) ? first + in->c : in + 1;
        break;
      case Op::kJumpIfTrue:
        in = is_true(machine.at(in->a)) ? first + in->c : in + 1;
        break;
      case Op::kBranch: {
        const Value& a = machine.at(in->a);
        if (a.is_bool()) [[likely]] {
          in = a.as_bool() ? in + 1 : first + in->c;
        } else {
          machine.locate(in);
          registers[in->dst] = not_a_bool(context, machine.argument(in->a));
          in = first + in->b;
        }
        break;
      }
      case Op::kAnd: {
        const Value& a = machine.at(in->a);
        const Value& b = machine.at(in->b);
        registers[in->dst] = is_true(a) && b.is_bool() ? b : machine.slow(*in);
        ++in;
        break;
      }
      case Op::kOr: {
        const Value& a = machine.at(in->a);
        const Value& b = machine.at(in->b);
        registers[in->dst] = is_false(a) && b.is_bool() ? b : machine.slow(*in);
        ++in;
        break;
      }
      CASE_ARITHMETIC(Add, __builtin_add_overflow, +)
      CASE_ARITHMETIC(Subtract, __builtin_sub_overflow, -)
      CASE_ARITHMETIC(Multiply, __builtin_mul_overflow, *)
      CASE_COMPARE(Equal)
      CASE_COMPARE(NotEqual)
      CASE_COMPARE(Less)
      CASE_COMPARE(LessEqual)
      CASE_COMPARE(Greater)
      CASE_COMPARE(GreaterEqual)
      case Op::kToDouble: {
        const Value& a = machine.at(in->a);
        if (a.is_double()) {
          registers[in->dst] = a;
        } else if (a.is_int()) {
          registers[in->dst] = Value::of_double(static_cast<double>(a.as_int()));
        } else {
          registers[in->dst] = machine.slow(*in);
        }
        ++in;
        break;
      }
      case Op::kToInt: {
        const Value& a = machine.at(in->a);
        registers[in->dst] = a.is_int() ? a : machine.slow(*in);
        ++in;
        break;
      }
      case Op::kSize: {
        const Value& a = machine.at(in->a);
        registers[in->dst] = a.is_list() ? Value::of_int(a.as_list().size) : machine.slow(*in);
        ++in;
        break;
      }
      case Op::kHasInput: {
        const Value& a = machine.at(in->a);
        registers[in->dst] =
            a.is_absent() || a.is_error() ? machine.slow(*in) : Value::of_bool(true);
        ++in;
        break;
      }
      case Op::kIterBegin:
        machine.locate(in);
        in = begin_rounds(*in, machine.argument(in->a), registers, context) ? in + 1
                                                                           : first + in->c;
        break;
      case Op::kIterNext: {
        if (!context.charge(in->b)) return context.out_of_steps();
        in = next_round(registers + in->dst) ? first + in->c : in + 1;
        break;
      }
      case Op::kIterPair: {
        Value* iterator = registers + in->dst;
        if (iterator->is_list()) {
          iterator[kIterSecond] = iterator[kIterFirst];
          iterator[kIterFirst] = iterator[1];
        }
        ++in;
        break;
      }
      case Op::kAllStep: {
        const Value& a = machine.at(in->a);
        Value& all = registers[in->dst];
        if (!is_true(a)) {
          machine.locate(in);
          all = logic(context, Op::kAnd, {all, {}}, machine.argument(in->a));
        }
        in = is_false(all) ? first + in->c : in + 1;
        break;
      }
      case Op::kExistsStep: {
        const Value& a = machine.at(in->a);
        Value& any = registers[in->dst];
        if (!is_false(a)) {
          machine.locate(in);
          any = logic(context, Op::kOr, {any, {}}, machine.argument(in->a));
        }
        in = is_true(any) ? first + in->c : in + 1;
        break;
      }
      case Op::kCountStep: {
        const Value& a = machine.at(in->a);
        Value& count = registers[in->dst];
        if (a.is_bool()) {
          if (a.as_bool()) count = Value::of_int(count.as_int() + 1);
          ++in;
        } else {
          machine.locate(in);
          count = not_a_bool(context, machine.argument(in->a));
          in = first + in->c;
        }
        break;
      }
      case Op::kCountDone:
        if (registers[in->dst].is_int()) {
          registers[in->dst] = Value::of_bool(registers[in->dst].as_int() == 1);
        }
        ++in;
        break;
      case Op::kListBegin:
        begin_list(registers + in->dst, registers[in->a], context);
        ++in;
        break;
      case Op::kAppend: {
        machine.locate(in);
        in = append(registers + in->dst, machine.argument(in->a), context) ? in + 1 : first + in->c;
        break;
      }
      case Op::kAppendIf: {
        const Value& a = machine.at(in->a);
        if (is_false(a)) {
          ++in;
          break;
        }
        machine.locate(in);
        if (is_true(a)) {
          in = append(registers + in->dst, machine.argument(in->b), context) ? in + 1
                                                                            : first + in->c;
        } else {
          registers[in->dst] = not_a_bool(context, machine.argument(in->a));
          in = first + in->c;
        }
        break;
      }
      case Op::kSkipUnless: {
        const Value& a = machine.at(in->a);
        if (a.is_bool()) {
          in = a.as_bool() ? in + 1 : first + in->b;
        } else {
          machine.locate(in);
          registers[in->dst] = not_a_bool(context, machine.argument(in->a));
          in = first + in->c;
        }
        break;
      }
      case Op::kMapBegin:
        begin_map(registers + in->dst, context);
        ++in;
        break;
      case Op::kMapAdd:
        machine.locate(in);
        in = add_entry(registers + in->dst, machine.argument(in->a), machine.argument(in->b), context)
                 ? in + 1
                 : first + in->c;
        break;
      case Op::kMapAddAll:
        machine.locate(in);
        in = add_entries(registers + in->dst, machine.argument(in->a), context) ? in + 1
                                                                               : first + in->c;
        break;
      case Op::kMapDone:
        machine.locate(in);
        finish_map(registers + in->dst, context);
        ++in;
        break;
      default:
        registers[in->dst] = machine.slow(*in);
        ++in;
    }
  }
#undef CASE_COMPARE
#undef CASE_ARITHMETIC
}

}  // namespace penstock::cel
