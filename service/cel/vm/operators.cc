#include "cel/vm/operators.h"

#include <algorithm>
#include <limits>
#include <string>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/library/time.h"
#include "cel/text.h"

namespace penstock::cel {
namespace {

std::string_view symbol(Op op) {
  switch (op) {
    case Op::kAdd:
      return " + ";
    case Op::kSubtract:
      return " - ";
    case Op::kMultiply:
      return " * ";
    case Op::kDivide:
      return " / ";
    case Op::kModulo:
      return " % ";
    case Op::kLess:
      return " < ";
    case Op::kLessEqual:
      return " <= ";
    case Op::kGreater:
      return " > ";
    default:
      return " >= ";
  }
}

Value overflow(EvalContext& context, Op op, const Value& a, const Value& b) {
  return context.fail(ErrorCode::kOverflow,
                      {to_string(a.kind()), " overflow: ", to_text(a), symbol(op), to_text(b)});
}

Value zero_divisor(EvalContext& context, Op op, const Value& a) {
  return context.fail(ErrorCode::kDivideByZero,
                      {op == Op::kDivide ? "division by zero: " : "modulus by zero: ", to_text(a),
                       symbol(op), "0"});
}

Value int_arithmetic(EvalContext& context, Op op, const Value& left, const Value& right) {
  const std::int64_t a = left.as_int();
  const std::int64_t b = right.as_int();
  std::int64_t result = 0;
  bool overflows = false;
  switch (op) {
    case Op::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      if (b == 0) return zero_divisor(context, op, left);
      overflows = a == std::numeric_limits<std::int64_t>::min() && b == -1;
      if (!overflows) result = op == Op::kDivide ? a / b : a % b;
  }
  return overflows ? overflow(context, op, left, right) : Value::of_int(result);
}

Value uint_arithmetic(EvalContext& context, Op op, const Value& left, const Value& right) {
  const std::uint64_t a = left.as_uint();
  const std::uint64_t b = right.as_uint();
  std::uint64_t result = 0;
  bool overflows = false;
  switch (op) {
    case Op::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      if (b == 0) return zero_divisor(context, op, left);
      result = op == Op::kDivide ? a / b : a % b;
  }
  return overflows ? overflow(context, op, left, right) : Value::of_uint(result);
}

Value concat_lists(EvalContext& context, List a, List b) {
  if (a.size == 0) return Value::of_list(b);
  if (b.size == 0) return Value::of_list(a);
  if (!context.charge(std::uint64_t{a.size} + b.size)) return context.out_of_steps();
  ListBuilder list(context.arena, a.size + b.size);
  for (const Value& item : a) list.add(item);
  for (const Value& item : b) list.add(item);
  return list.finish();
}

Value add_other(EvalContext& context, const Value& a, const Value& b, bool* done) {
  *done = true;
  if (a.kind() == b.kind()) {
    switch (a.kind()) {
      case Kind::kString:
        return context.concat(Kind::kString, {a.as_string(), b.as_string()});
      case Kind::kBytes:
        return context.concat(Kind::kBytes, {a.as_bytes(), b.as_bytes()});
      case Kind::kList:
        return concat_lists(context, a.as_list(), b.as_list());
      case Kind::kDuration:
        return make_duration(context, add(a.as_duration(), b.as_duration()));
      default:
        break;
    }
  }
  if (a.is_timestamp() && b.is_duration()) {
    return make_timestamp(context, add(a.as_timestamp(), b.as_duration()));
  }
  if (a.is_duration() && b.is_timestamp()) {
    return make_timestamp(context, add(b.as_timestamp(), a.as_duration()));
  }
  *done = false;
  return {};
}

Value subtract_other(EvalContext& context, const Value& a, const Value& b, bool* done) {
  *done = true;
  if (a.is_timestamp() && b.is_timestamp()) {
    return make_duration(context, subtract(a.as_timestamp(), b.as_timestamp()));
  }
  if (a.is_timestamp() && b.is_duration()) {
    return make_timestamp(context, subtract(a.as_timestamp(), b.as_duration()));
  }
  if (a.is_duration() && b.is_duration()) {
    return make_duration(context, subtract(a.as_duration(), b.as_duration()));
  }
  *done = false;
  return {};
}

// The first `segments` of a path as InputPath::to_string() writes it: "msg.a" of "msg.a.b".
std::string_view beginning_of(std::string_view path, std::uint32_t segments) {
  bool quoted = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '"' && (path[i - 1] == '[' || path.substr(i + 1).starts_with(']'))) {
      quoted = !quoted;
    }
    const bool begins_one = path[i] == '[' ? path.substr(i + 1).starts_with('"') : path[i] == '.';
    if (!quoted && begins_one && segments-- == 0) return path.substr(0, i);
  }
  return path;
}

Value absent_error(EvalContext& context, const Argument& argument) {
  const std::string_view name = argument.input_name;
  const Kind found = argument.value.absent_found();
  if (found == Kind::kMap) return context.fail(ErrorCode::kNoSuchField, {"no such field: ", name});
  const std::uint32_t depth = argument.value.absent_depth();
  const ErrorCode code = !argument.value.absent_by_shape() ? ErrorCode::kNoSuchField
                         : depth == 0                      ? ErrorCode::kNotAnObject
                                                           : ErrorCode::kWrongType;
  return context.fail(code, {"no such field: ", name, ", because ", beginning_of(name, depth),
                             " is ", described(found)});
}

Value json_error(EvalContext& context, const Argument& argument) {
  const std::string_view text = argument.value.as_json();
  const std::string_view of = argument.input_name.empty() ? "" : " of ";
  if (text.starts_with('"')) {
    return context.fail(ErrorCode::kLoneSurrogate,
                        {"the string", of, argument.input_name,
                         " holds half of a surrogate pair, which is not a character: ", text});
  }
  return context.fail(
      ErrorCode::kNumberOutOfRange,
      {"the number ", text, of, argument.input_name,
       text.find_first_of(".eE") == std::string_view::npos ? " does not fit 64 bits"
                                                           : " is larger than any double"});
}

std::string shown(const Argument& argument) {
  return argument.input_name.empty() ? "…" : std::string(argument.input_name);
}

}  // namespace

Value error_of(EvalContext& context, const Argument& argument) {
  if (argument.value.is_error()) return argument.value;
  if (argument.value.is_absent()) return absent_error(context, argument);
  if (argument.value.is_json()) return json_error(context, argument);
  return {};
}

Value no_overload(EvalContext& context, std::string_view operation, const Argument& a,
                  const Argument& b) {
  std::string hint;
  const Kind left = a.value.kind();
  const Kind right = b.value.kind();
  if (is_number(left) && is_number(right) && left != right) {
    const Kind wanted =
        left == Kind::kDouble || right == Kind::kDouble ? Kind::kDouble : Kind::kInt;
    const Argument& other = left == wanted ? b : a;
    hint = "; write " + std::string(to_string(wanted)) + "(" + shown(other) + ")";
  } else if (!a.input_name.empty()) {
    hint = "; " + std::string(a.input_name) + " is " + std::string(to_string(left));
  } else if (!b.input_name.empty()) {
    hint = "; " + std::string(b.input_name) + " is " + std::string(to_string(right));
  }
  return context.fail(ErrorCode::kNoSuchOverload,
                      {"no such overload: ", to_string(left), operation, to_string(right), hint});
}

Value arithmetic(EvalContext& context, Op op, const Argument& left, const Argument& right) {
  const Value& a = left.value;
  const Value& b = right.value;
  if (a.kind() == b.kind()) {
    if (a.is_int()) return int_arithmetic(context, op, a, b);
    if (a.is_uint()) return uint_arithmetic(context, op, a, b);
    if (a.is_double()) {
      switch (op) {
        case Op::kAdd:
          return Value::of_double(a.as_double() + b.as_double());
        case Op::kSubtract:
          return Value::of_double(a.as_double() - b.as_double());
        case Op::kMultiply:
          return Value::of_double(a.as_double() * b.as_double());
        case Op::kDivide:
          return Value::of_double(a.as_double() / b.as_double());
        default:
          break;
      }
    }
  }
  if (const Value error = error_of(context, left); error.is_error()) return error;
  if (const Value error = error_of(context, right); error.is_error()) return error;
  if (op == Op::kAdd || op == Op::kSubtract) {
    bool done = false;
    const Value result =
        op == Op::kAdd ? add_other(context, a, b, &done) : subtract_other(context, a, b, &done);
    if (done) return result;
  }
  return no_overload(context, symbol(op), left, right);
}

Value negate(EvalContext& context, const Argument& a) {
  if (a.value.is_int()) {
    if (a.value.as_int() == std::numeric_limits<std::int64_t>::min()) {
      return context.fail(ErrorCode::kOverflow, {"int overflow: -(", to_text(a.value), ")"});
    }
    return Value::of_int(-a.value.as_int());
  }
  if (a.value.is_double()) return Value::of_double(-a.value.as_double());
  if (const Value error = error_of(context, a); error.is_error()) return error;
  return context.fail(ErrorCode::kNoSuchOverload,
                      {"no such overload: -", to_string(a.value.kind())});
}

Value compare_values(EvalContext& context, Op op, const Argument& a, const Argument& b) {
  if (const Value error = error_of(context, a); error.is_error()) return error;
  if (const Value error = error_of(context, b); error.is_error()) return error;
  if (op == Op::kEqual || op == Op::kNotEqual) {
    const bool same = equal_within(a.value, b.value, context.steps_left);
    if (context.steps_left == 0) return context.out_of_steps();
    return Value::of_bool(same == (op == Op::kEqual));
  }
  if (!is_ordered(a.value, b.value)) return no_overload(context, symbol(op), a, b);
  if (!context.charge(std::min(text_steps(a.value), text_steps(b.value)))) {
    return context.out_of_steps();
  }
  const std::partial_ordering order = compare(a.value, b.value);
  switch (op) {
    case Op::kLess:
      return Value::of_bool(order < 0);
    case Op::kLessEqual:
      return Value::of_bool(order <= 0);
    case Op::kGreater:
      return Value::of_bool(order > 0);
    default:
      return Value::of_bool(order >= 0);
  }
}

Value not_a_bool(EvalContext& context, const Argument& a) {
  if (const Value error = error_of(context, a); error.is_error()) return error;
  const std::string name = a.input_name.empty() ? "" : std::string(a.input_name) + " ";
  return context.fail(ErrorCode::kNoSuchOverload, {"no such overload: a condition must be a bool; ",
                                                   name, "is ", to_string(a.value.kind())});
}

// Commutative: one deciding side is enough, whatever the other one is.
Value logic(EvalContext& context, Op op, const Argument& a, const Argument& b) {
  const bool decides = op == Op::kOr;
  if (a.value.is_bool() && a.value.as_bool() == decides) return a.value;
  if (b.value.is_bool() && b.value.as_bool() == decides) return b.value;
  if (!a.value.is_bool()) return not_a_bool(context, a);
  if (!b.value.is_bool()) return not_a_bool(context, b);
  return Value::of_bool(!decides);
}

Value logical_not(EvalContext& context, const Argument& a) {
  if (a.value.is_bool()) return Value::of_bool(!a.value.as_bool());
  return not_a_bool(context, a);
}

Value contains(EvalContext& context, const Argument& a, const Argument& container) {
  if (const Value error = error_of(context, a); error.is_error()) return error;
  if (const Value error = error_of(context, container); error.is_error()) return error;
  if (container.value.is_map()) {
    if (!context.charge(text_steps(a.value))) return context.out_of_steps();
    return Value::of_bool(container.value.as_map().find(a.value) != nullptr);
  }
  if (!container.value.is_list()) return no_overload(context, " in ", a, container);
  for (const Value& item : container.value.as_list()) {
    const bool same = equal_within(a.value, item, context.steps_left);
    if (context.steps_left == 0) return context.out_of_steps();
    if (same) return Value::of_bool(true);
  }
  return Value::of_bool(false);
}

}  // namespace penstock::cel
