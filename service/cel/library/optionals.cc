// Optional values: something that may be there.
#include "cel/containers.h"
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

Value none(EvalContext&, Args) { return Value::of_optional(nullptr); }

Value of(EvalContext& context, Args args) {
  auto* memory = context.arena.allocate_array<Value>(1);
  if (memory == nullptr) return context.out_of_memory();
  *memory = args[0];
  return Value::of_optional(memory);
}

bool is_zero(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return !value.as_bool();
    case Kind::kInt:
      return value.as_int() == 0;
    case Kind::kUint:
      return value.as_uint() == 0;
    case Kind::kDouble:
      return value.as_double() == 0;
    case Kind::kString:
      return value.as_string().empty();
    case Kind::kBytes:
      return value.as_bytes().empty();
    case Kind::kList:
      return value.as_list().size == 0;
    case Kind::kMap:
      return value.as_map().size() == 0;
    case Kind::kTimestamp:
      return value.as_timestamp() == Instant{};
    case Kind::kDuration:
      return value.as_duration() == Instant{};
    case Kind::kOptional:
      return value.as_optional() == nullptr;
    default:
      return false;
  }
}

Value of_non_null(EvalContext&, Args args) {
  const Value* inner = args[0].as_optional();
  return inner != nullptr && inner->is_null() ? Value::of_optional(nullptr) : args[0];
}

Value of_non_zero(EvalContext& context, Args args) {
  return is_zero(args[0]) ? Value::of_optional(nullptr) : of(context, args);
}

Value has_value(EvalContext&, Args args) {
  return Value::of_bool(args[0].as_optional() != nullptr);
}

Value value(EvalContext& context, Args args) {
  const Value* inner = args[0].as_optional();
  if (inner != nullptr) return *inner;
  return context.fail(ErrorCode::kInvalidArgument, {"the optional has no value"});
}

Value either(EvalContext&, Args args) {
  return args[0].as_optional() != nullptr ? args[0] : args[1];
}

Value or_value(EvalContext&, Args args) {
  const Value* inner = args[0].as_optional();
  return inner != nullptr ? *inner : args[1];
}

Value unwrap(EvalContext& context, Args args) {
  if (!context.charge(args[0].as_list().size)) return context.out_of_steps();
  ListBuilder list(context.arena);
  for (const Value& item : args[0].as_list()) {
    if (!item.is_optional()) {
      return context.fail(ErrorCode::kNoSuchOverload, {"no such overload: optional.unwrap() of a "
                                                       "list with a ",
                                                       to_string(item.kind())});
    }
    if (item.as_optional() != nullptr) list.add(*item.as_optional());
  }
  return list.finish();
}

template <bool kFirst>
Value end_of_list(EvalContext& context, Args args) {
  const List list = args[0].as_list();
  if (list.size == 0) return Value::of_optional(nullptr);
  return of(context, {&list.items[kFirst ? 0 : list.size - 1], 1});
}

constexpr FunctionRow kRows[] = {
    {"optional.of(A) -> optional<A>", of, "An optional with this value.",
     "optional.of(1).hasValue()"},
    {"optional.ofNonZeroValue(A) -> optional<A>", of_non_zero,
     "An optional with this value, empty if it is null, zero or empty.",
     "!optional.ofNonZeroValue('').hasValue()"},
    {"@ofNonNull(optional<A>) -> optional<A>", of_non_null, "", ""},
    {"optional.none() -> optional<A>", none, "The empty optional.", "!optional.none().hasValue()"},
    {"optional<A>.hasValue() -> bool", has_value, "Whether it has a value.",
     "{'a': 1}.?a.hasValue()"},
    {"optional<A>.value() -> A", value, "Its value; an error if it is empty.",
     "optional.of(1).value() == 1"},
    {"optional<A>.or(optional<A>) -> optional<A>", either,
     "Itself, or the other one if it is empty.", "optional.none().or(optional.of(2)).value() == 2"},
    {"optional<A>.orValue(A) -> A", or_value, "Its value, or the other one if it is empty.",
     "{'a': 1}.?b.orValue(7) == 7"},
    {"optional.unwrap(list<optional<A>>) -> list<A>", unwrap,
     "The values of the optionals that have one.",
     "optional.unwrap([optional.of(1), optional.none()]) == [1]"},
    {"list<optional<A>>.unwrapOpt() -> list<A>", unwrap, "The same, as a method.",
     "[optional.of(1), optional.none()].unwrapOpt() == [1]"},
    {"list<A>.first() -> optional<A>", end_of_list<true>, "The first element, if there is one.",
     "[1, 2].first().value() == 1"},
    {"list<A>.last() -> optional<A>", end_of_list<false>, "The last element, if there is one.",
     "[1, 2].last().value() == 2"},
};

}  // namespace

std::span<const FunctionRow> optional_rows() { return kRows; }

}  // namespace penstock::cel
