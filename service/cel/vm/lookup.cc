// Lookups: a[b], a.b, has(a.b) and their optional forms.
#include <cmath>
#include <limits>
#include <string>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/text.h"
#include "cel/vm/operators.h"

namespace penstock::cel {

bool is_map_key(Kind kind) {
  return is_number(kind) || kind == Kind::kString || kind == Kind::kBool;
}

namespace {

// A position that no list has.
constexpr std::int64_t kBeyond = -1;
// No position at all: not a whole number, or none that an int could hold.
constexpr std::int64_t kNotWhole = -2;

std::int64_t list_position(const Value& key) {
  switch (key.kind()) {
    case Kind::kInt:
      return key.as_int() < 0 ? kBeyond : key.as_int();
    case Kind::kUint:
      return key.as_uint() >> 63 != 0 ? kNotWhole : static_cast<std::int64_t>(key.as_uint());
    default: {
      const double d = key.as_double();
      if (!(d >= -0x1p63 && d < 0x1p63) || d != std::trunc(d)) return kNotWhole;
      return d < 0 ? kBeyond : static_cast<std::int64_t>(d);
    }
  }
}

std::string_view shown(const Argument& a) {
  return a.input_name.empty() ? std::string_view("which") : a.input_name;
}

std::string shown_key(const Value& key) {
  constexpr std::size_t kLongest = 100;
  if (!key.is_string() || key.as_string().size() <= kLongest) return to_text(key);
  return "a text of " + std::to_string(key.as_string().size()) + " bytes";
}

// nullptr and *error null: not there.
const Value* look_up(EvalContext& context, const Argument& a, const Argument& key, Value* error) {
  *error = error_of(context, a);
  if (error->is_error()) return nullptr;
  *error = error_of(context, key);
  if (error->is_error()) return nullptr;
  if (!context.charge(text_steps(key.value))) {
    *error = context.out_of_steps();
    return nullptr;
  }
  if (a.value.is_map() && is_map_key(key.value.kind())) return a.value.as_map().find(key.value);
  if (a.value.is_list() && is_number(key.value.kind())) {
    const std::int64_t at = list_position(key.value);
    const List list = a.value.as_list();
    if (at >= 0 && at < list.size) return &list.items[at];
    if (at == kNotWhole) {
      *error = context.fail(ErrorCode::kInvalidArgument, {"not an index: ", to_text(key.value)});
    }
    return nullptr;
  }
  *error = context.fail(
      ErrorCode::kNoSuchOverload,
      {"no such overload: ", to_string(a.value.kind()), "[", to_string(key.value.kind()), "]"});
  return nullptr;
}

}  // namespace

Value index(EvalContext& context, const Argument& a, const Argument& key) {
  if (a.value.is_optional()) return optional_index(context, a, key);
  Value error;
  const Value* found = look_up(context, a, key, &error);
  if (found != nullptr) return *found;
  if (error.is_error()) return error;
  if (a.value.is_map()) {
    return context.fail(ErrorCode::kNoSuchKey, {"no such key: ", shown_key(key.value)});
  }
  return context.fail(ErrorCode::kOutOfRange,
                      {"index out of range: ", shown_key(key.value), " in a list of ",
                       std::to_string(a.value.as_list().size)});
}

Value select(EvalContext& context, const Argument& a, std::string_view field) {
  if (a.value.is_map()) {
    const Value* found = a.value.as_map().find(field);
    if (found != nullptr) return *found;
    return context.fail(ErrorCode::kNoSuchKey, {"no such key: ", field});
  }
  if (a.value.is_optional()) {
    const Value key = Value::of_string(field);
    return optional_index(context, a, {key, {}});
  }
  if (const Value error = error_of(context, a); error.is_error()) return error;
  return context.fail(ErrorCode::kNoSuchField, {"no such field: ", field, ", ", shown(a), " is ",
                                                to_string(a.value.kind())});
}

Value has(EvalContext& context, const Argument& a, std::string_view field) {
  if (a.value.is_map()) return Value::of_bool(a.value.as_map().find(field) != nullptr);
  if (a.value.is_optional()) {
    const Value* inner = a.value.as_optional();
    return inner == nullptr ? Value::of_bool(false) : has(context, {*inner, a.input_name}, field);
  }
  if (const Value error = error_of(context, a); error.is_error()) return error;
  return context.fail(ErrorCode::kNoSuchField, {"no such field: ", field, ", ", shown(a), " is ",
                                                to_string(a.value.kind())});
}

Value has_input(EvalContext& context, const Argument& a, std::uint32_t segments) {
  if (!a.value.is_absent()) return a.value.is_error() ? a.value : Value::of_bool(true);
  const bool is_in_object = a.value.absent_found() == Kind::kMap;
  if (a.value.absent_depth() + 1 == segments && is_in_object) return Value::of_bool(false);
  if (!is_in_object) return error_of(context, a);
  return context.fail(ErrorCode::kNoSuchField,
                      {"no such field: what holds ", a.input_name, " is not there"});
}

Value to_optional(EvalContext& context, const Value& value) {
  auto* memory = context.arena.allocate_array<Value>(1);
  if (memory == nullptr) return context.out_of_memory();
  *memory = value;
  return Value::of_optional(memory);
}

Value optional_index(EvalContext& context, const Argument& a, const Argument& key) {
  if (a.value.is_optional()) {
    const Value* inner = a.value.as_optional();
    if (inner == nullptr) return a.value;
    return optional_index(context, {*inner, a.input_name}, key);
  }
  // Producers write null for what is not there.
  if (a.value.is_null() && !key.value.is_error()) return Value::of_optional(nullptr);
  Value error;
  const Value* found = look_up(context, a, key, &error);
  if (found != nullptr) return to_optional(context, *found);
  return error.is_error() ? error : Value::of_optional(nullptr);
}

Value optional_input(EvalContext& context, const Argument& a, std::uint32_t segments) {
  if (!a.value.is_absent()) {
    return a.value.is_error() ? a.value : to_optional(context, a.value);
  }
  if (a.value.absent_found() == Kind::kNull && !a.value.absent_by_shape()) {
    return Value::of_optional(nullptr);
  }
  const Value is_there = has_input(context, a, segments);
  return is_there.is_error() ? is_there : Value::of_optional(nullptr);
}

}  // namespace penstock::cel
