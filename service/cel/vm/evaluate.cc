// The interpreter loop. Here is only what is common and cheap; operators.h has the rest.
#include <cstdint>
#include <cstring>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/vm/machine.h"
#include "cel/vm/rounds.h"

namespace penstock::cel {
namespace {

// Comparing longer ones counts as steps, out of line.
constexpr std::size_t kLongestFastText = 1024;

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
        const std::string_view x = a.as_string();
        const std::string_view y = b.as_string();
        if (x.size() > kLongestFastText) return false;
        *result = same_text(x, y) == (kOp == Op::kEqual);
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

// Where to go on after a comparison that branches: kJumpWhen is the result that goes to `c`.
template <Op kOp, bool kJumpWhen>
[[gnu::always_inline]] inline const Instruction* after_test(Machine& machine, const Instruction* in,
                                                            const Instruction* first) {
  bool result = false;
  if (!compare_fast<kOp>(machine.at(in->a), machine.at(in->b), &result)) [[unlikely]] {
    machine.locate(in);
    const Value value =
        compare_values(machine.context, kOp, machine.argument(in->a), machine.argument(in->b));
    if (!value.is_bool()) return first + in->dst;
    result = value.as_bool();
  }
  return result == kJumpWhen ? first + in->c : in + 1;
}

template <bool kJumpWhen>
[[gnu::always_inline]] inline const Instruction* after_bool(Machine& machine, const Instruction* in,
                                                            const Instruction* first) {
  const Value& value = machine.at(in->a);
  if (!value.is_bool()) [[unlikely]]
    return first + in->dst;
  return value.as_bool() == kJumpWhen ? first + in->c : in + 1;
}

// Copies word by word: a vector load would wait for the two stores that made the value.
[[gnu::always_inline]] inline void copy_words(Value* to, const Value& from) noexcept {
  std::uint64_t words[2];
  std::memcpy(words, &from, sizeof(Value));
  __asm__("" : "+r"(words[0]), "+r"(words[1]));
  std::memcpy(static_cast<void*>(to), words, sizeof(Value));
}

// Adds to a list that has room; see begin_list().
[[gnu::always_inline]] inline bool append_fast(Value* list, const Value& item) noexcept {
  const List now = list->as_list();
  if (now.size == list[1].as_int() || item.is_error() || item.is_absent()) [[unlikely]] {
    return false;
  }
  copy_words(const_cast<Value*>(now.items) + now.size, item);
  *list = Value::of_list({now.items, now.size + 1});
  return true;
}

// The next element of a list; false: it was the last.
[[gnu::always_inline]] inline bool next_in_list(Value* iterator) noexcept {
  const List list = iterator->as_list();
  const std::int64_t next = iterator[1].as_int() + 1;
  if (next >= list.size) return false;
  iterator[1] = Value::of_int(next);
  copy_words(iterator + kIterFirst, list.items[next]);
  return true;
}

bool is_true(const Value& value) noexcept { return value.is_bool() && value.as_bool(); }
bool is_false(const Value& value) noexcept { return value.is_bool() && !value.as_bool(); }

}  // namespace

Value run(const Program::Code& code, std::uint32_t start, const Value* slots, Value* registers,
          EvalContext& context) {
  Machine machine{code, context, {slots, code.constants.data(), registers}, registers};
  const Instruction* const first = code.instructions.data();
  const Instruction* in = first + start;

#define CASE_COMPARE(name)                                       \
  case Op::k##name:                                              \
    registers[in->dst] = compare_any<Op::k##name>(machine, *in); \
    ++in;                                                        \
    break;                                                       \
  case Op::k##name##Else:                                        \
    in = after_test<Op::k##name, false>(machine, in, first);     \
    break;                                                       \
  case Op::k##name##Then:                                        \
    in = after_test<Op::k##name, true>(machine, in, first);      \
    break;

#define CASE_ARITHMETIC(name, overflow_builtin, op)                                              \
  case Op::k##name: {                                                                            \
    const Value& a = machine.at(in->a);                                                          \
    const Value& b = machine.at(in->b);                                                          \
    std::int64_t result;                                                                         \
    if (a.is_double() && b.is_double()) {                                                        \
      registers[in->dst] = Value::of_double(a.as_double() op b.as_double());                     \
    } else if (a.is_int() && b.is_int() && !overflow_builtin(a.as_int(), b.as_int(), &result)) { \
      registers[in->dst] = Value::of_int(result);                                                \
    } else {                                                                                     \
      registers[in->dst] = machine.slow(*in);                                                    \
    }                                                                                            \
    ++in;                                                                                        \
    break;                                                                                       \
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
      case Op::kTrueElse:
        in = after_bool<false>(machine, in, first);
        break;
      case Op::kTrueThen:
        in = after_bool<true>(machine, in, first);
        break;
      case Op::kSet:
        copy_words(registers + in->dst, machine.at(in->a));
        in = first + in->c;
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
      case Op::kSelect:
      case Op::kIndex: {
        const Value& a = machine.at(in->a);
        const Value& key = machine.at(in->b);
        const Value* found = nullptr;
        if (a.is_map() && key.is_string() && context.charge(text_steps(key))) {
          found = a.as_map().find(key);
        }
        registers[in->dst] = found != nullptr ? *found : machine.slow(*in);
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
        in =
            begin_rounds(*in, machine.argument(in->a), registers, context) ? in + 1 : first + in->c;
        break;
      case Op::kIterNext: {
        if (!context.charge(in->b)) return context.out_of_steps();
        Value* iterator = registers + in->dst;
        const bool more = iterator->is_list() ? next_in_list(iterator) : next_round(iterator);
        in = more ? first + in->c : in + 1;
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
        if (append_fast(registers + in->dst, machine.at(in->a))) [[likely]] {
          ++in;
          break;
        }
        machine.locate(in);
        in = append(registers + in->dst, machine.argument(in->a), context) ? in + 1 : first + in->c;
        break;
      }
      case Op::kAppendIf: {
        const Value& a = machine.at(in->a);
        if (a.is_bool()) [[likely]] {
          if (!a.as_bool() || append_fast(registers + in->dst, machine.at(in->b))) {
            ++in;
            break;
          }
          machine.locate(in);
          in = append(registers + in->dst, machine.argument(in->b), context) ? in + 1
                                                                             : first + in->c;
        } else {
          machine.locate(in);
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
        in = add_entry(registers + in->dst, machine.argument(in->a), machine.argument(in->b),
                       context)
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
