// The math library: extremes, rounding, signs, bits.
#include <cmath>
#include <limits>

#include "cel/compare.h"
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

template <bool kGreatest>
bool wins(const Value& a, const Value& b) {
  const auto order = compare_numbers(a, b);
  return kGreatest ? order > 0 : order < 0;
}

template <bool kGreatest>
Value extreme(EvalContext&, Args args) {
  const Value* best = &args[0];
  for (const Value& value : args) {
    if (wins<kGreatest>(value, *best)) best = &value;
  }
  return *best;
}

template <bool kGreatest>
Value extreme_of_list(EvalContext& context, Args args) {
  const List list = args[0].as_list();
  if (list.size == 0) {
    return context.fail(ErrorCode::kInvalidArgument, {"an empty list has no extremes"});
  }
  if (!context.charge(list.size)) return context.out_of_steps();
  const Value* best = &list[0];
  for (const Value& value : list) {
    if (!is_number(value.kind())) {
      return context.fail(
          ErrorCode::kNoSuchOverload,
          {"no such overload: extremes of a list with a ", to_string(value.kind())});
    }
    if (wins<kGreatest>(value, *best)) best = &value;
  }
  return *best;
}

template <double (*kFunction)(double)>
Value rounded(EvalContext&, Args args) {
  return Value::of_double(kFunction(args[0].as_double()));
}

template <bool (*kTest)(double)>
Value test(EvalContext&, Args args) {
  return Value::of_bool(kTest(args[0].as_double()));
}

bool is_nan(double d) { return std::isnan(d); }
bool is_inf(double d) { return std::isinf(d); }
bool is_finite(double d) { return std::isfinite(d); }
double ceil_of(double d) { return std::ceil(d); }
double floor_of(double d) { return std::floor(d); }
double round_of(double d) { return std::round(d); }  // halves away from zero
double trunc_of(double d) { return std::trunc(d); }

Value absolute(EvalContext& context, Args args) {
  const Value& value = args[0];
  if (value.is_uint()) return value;
  if (value.is_double()) return Value::of_double(std::fabs(value.as_double()));
  if (value.as_int() == std::numeric_limits<std::int64_t>::min()) {
    return context.fail(ErrorCode::kOverflow, {"int overflow: the absolute value does not fit"});
  }
  return Value::of_int(std::abs(value.as_int()));
}

Value sign(EvalContext&, Args args) {
  const Value& value = args[0];
  if (value.is_uint()) return Value::of_uint(value.as_uint() == 0 ? 0 : 1);
  if (value.is_int()) return Value::of_int((value.as_int() > 0) - (value.as_int() < 0));
  const double d = value.as_double();
  if (std::isnan(d) || d == 0) return Value::of_double(std::isnan(d) ? d : 0.0);
  return Value::of_double(d > 0 ? 1.0 : -1.0);
}

Value square_root(EvalContext&, Args args) {
  const Value& value = args[0];
  if (value.is_double()) return Value::of_double(std::sqrt(value.as_double()));
  if (value.is_int()) return Value::of_double(std::sqrt(static_cast<double>(value.as_int())));
  return Value::of_double(std::sqrt(static_cast<double>(value.as_uint())));
}

enum class Bits { kAnd, kOr, kXor };

template <Bits kBits>
Value combine(EvalContext&, Args args) {
  const auto apply = [](auto a, auto b) {
    if constexpr (kBits == Bits::kAnd) return a & b;
    if constexpr (kBits == Bits::kOr) return a | b;
    if constexpr (kBits == Bits::kXor) return a ^ b;
  };
  if (args[0].is_int()) return Value::of_int(apply(args[0].as_int(), args[1].as_int()));
  return Value::of_uint(apply(args[0].as_uint(), args[1].as_uint()));
}

Value invert(EvalContext&, Args args) {
  if (args[0].is_int()) return Value::of_int(~args[0].as_int());
  return Value::of_uint(~args[0].as_uint());
}

// The bits of an int move like those of a uint: no sign comes in from the left.
template <bool kLeft>
Value shift(EvalContext& context, Args args) {
  const std::int64_t by = args[1].as_int();
  if (by < 0) {
    return context.fail(ErrorCode::kInvalidArgument, {"a shift by a negative number of bits"});
  }
  const bool is_int = args[0].is_int();
  const std::uint64_t bits =
      is_int ? static_cast<std::uint64_t>(args[0].as_int()) : args[0].as_uint();
  std::uint64_t result = 0;
  if (by < 64) result = kLeft ? bits << by : bits >> by;
  return is_int ? Value::of_int(static_cast<std::int64_t>(result)) : Value::of_uint(result);
}

#define PENSTOCK_CEL_NUMERIC(name, function, sentence, example)                                  \
  {name "(int) -> int", function, sentence, example}, {name "(uint) -> uint", function, "", ""}, \
      {name "(double) -> double", function, "", ""}
#define PENSTOCK_CEL_EXTREME(name, greatest, sentence, example)         \
  PENSTOCK_CEL_NUMERIC(name, extreme<greatest>, sentence, example),     \
      {name "(int, int) -> int", extreme<greatest>, "", ""},            \
      {name "(uint, uint) -> uint", extreme<greatest>, "", ""},         \
      {name "(double, double) -> double", extreme<greatest>, "", ""},   \
      {name "(int, uint) -> dyn", extreme<greatest>, "", ""},           \
      {name "(uint, int) -> dyn", extreme<greatest>, "", ""},           \
      {name "(int, double) -> dyn", extreme<greatest>, "", ""},         \
      {name "(double, int) -> dyn", extreme<greatest>, "", ""},         \
      {name "(uint, double) -> dyn", extreme<greatest>, "", ""},        \
      {name "(double, uint) -> dyn", extreme<greatest>, "", ""},        \
      {name "(list<int>) -> int", extreme_of_list<greatest>, "", ""},   \
      {name "(list<uint>) -> uint", extreme_of_list<greatest>, "", ""}, \
      {name "(list<double>) -> double", extreme_of_list<greatest>, "", ""}
#define PENSTOCK_CEL_BITS(name, function, sentence, example) \
  {name "(int, int) -> int", function, sentence, example},   \
      {name "(uint, uint) -> uint", function, "", ""}

constexpr FunctionRow kRows[] = {
    PENSTOCK_CEL_EXTREME("math.greatest", true,
                         "The greatest of its arguments, any number of them, or of a list.",
                         "math.greatest(1, 5, 3) == 5"),
    PENSTOCK_CEL_EXTREME("math.least", false,
                         "The least of its arguments, any number of them, or of a list.",
                         "math.least([2.5, 1.5]) == 1.5"),
    {"math.ceil(double) -> double", rounded<ceil_of>, "The next whole number up.",
     "math.ceil(1.2) == 2.0"},
    {"math.floor(double) -> double", rounded<floor_of>, "The next whole number down.",
     "math.floor(-1.2) == -2.0"},
    {"math.round(double) -> double", rounded<round_of>,
     "The nearest whole number, halves away from zero.", "math.round(2.5) == 3.0"},
    {"math.trunc(double) -> double", rounded<trunc_of>, "The number without its fraction.",
     "math.trunc(-1.7) == -1.0"},
    {"math.isNaN(double) -> bool", test<is_nan>, "Whether it is not a number.",
     "math.isNaN(0.0 / 0.0)"},
    {"math.isInf(double) -> bool", test<is_inf>, "Whether it is infinite.",
     "math.isInf(-1.0 / 0.0)"},
    {"math.isFinite(double) -> bool", test<is_finite>, "Whether it is finite.",
     "math.isFinite(1.5)"},
    PENSTOCK_CEL_NUMERIC("math.abs", absolute, "The number without its sign.", "math.abs(-3) == 3"),
    PENSTOCK_CEL_NUMERIC("math.sign", sign, "-1, 0 or 1.", "math.sign(-2.5) == -1.0"),
    {"math.sqrt(int) -> double", square_root, "The square root; NaN of a negative number.",
     "math.sqrt(9) == 3.0"},
    {"math.sqrt(uint) -> double", square_root, "", ""},
    {"math.sqrt(double) -> double", square_root, "", ""},
    PENSTOCK_CEL_BITS("math.bitAnd", combine<Bits::kAnd>, "The bits set in both.",
                      "math.bitAnd(12, 10) == 8"),
    PENSTOCK_CEL_BITS("math.bitOr", combine<Bits::kOr>, "The bits set in any of both.",
                      "math.bitOr(12, 10) == 14"),
    PENSTOCK_CEL_BITS("math.bitXor", combine<Bits::kXor>, "The bits set in one of both.",
                      "math.bitXor(12, 10) == 6"),
    {"math.bitNot(int) -> int", invert, "Every bit the other way.", "math.bitNot(0) == -1"},
    {"math.bitNot(uint) -> uint", invert, "", ""},
    {"math.bitShiftLeft(int, int) -> int", shift<true>, "The bits moved to the left.",
     "math.bitShiftLeft(1, 4) == 16"},
    {"math.bitShiftLeft(uint, int) -> uint", shift<true>, "", ""},
    {"math.bitShiftRight(int, int) -> int", shift<false>,
     "The bits moved to the right; zeros come in, also for a negative int.",
     "math.bitShiftRight(16, 4) == 1"},
    {"math.bitShiftRight(uint, int) -> uint", shift<false>, "", ""},
};

#undef PENSTOCK_CEL_NUMERIC
#undef PENSTOCK_CEL_EXTREME
#undef PENSTOCK_CEL_BITS

}  // namespace

std::span<const FunctionRow> math_rows() { return kRows; }

}  // namespace penstock::cel
