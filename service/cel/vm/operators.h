// The operators for all types and for errors: what the evaluator's fast paths leave over.
#pragma once

#include "cel/eval_context.h"
#include "cel/vm/code.h"

namespace penstock::cel {

// An operand with what messages need: its name if it is an input.
struct Argument {
  const Value& value;
  std::string_view input_name;  // "msg.amount"; empty: not an input
};

// The error that this value is or stands for (an absent input), or null kind if it is a value.
[[nodiscard]] Value error_of(EvalContext& context, const Argument& argument);

[[nodiscard]] Value arithmetic(EvalContext& context, Op op, const Argument& a, const Argument& b);
[[nodiscard]] Value negate(EvalContext& context, const Argument& a);
[[nodiscard]] Value compare_values(EvalContext& context, Op op, const Argument& a,
                                   const Argument& b);
[[nodiscard]] Value logic(EvalContext& context, Op op, const Argument& a, const Argument& b);
[[nodiscard]] Value logical_not(EvalContext& context, const Argument& a);
// What a condition is when it is neither true nor false: an error.
[[nodiscard]] Value not_a_bool(EvalContext& context, const Argument& a);

[[nodiscard]] Value contains(EvalContext& context, const Argument& a, const Argument& container);
[[nodiscard]] bool is_map_key(Kind kind);
[[nodiscard]] Value index(EvalContext& context, const Argument& a, const Argument& key);
[[nodiscard]] Value select(EvalContext& context, const Argument& a, std::string_view field);
[[nodiscard]] Value has(EvalContext& context, const Argument& a, std::string_view field);
[[nodiscard]] Value has_input(EvalContext& context, const Argument& a, std::uint32_t segments);
// a[?key] and a.?key.
[[nodiscard]] Value optional_index(EvalContext& context, const Argument& a, const Argument& key);
[[nodiscard]] Value optional_input(EvalContext& context, const Argument& a, std::uint32_t segments);
[[nodiscard]] Value to_optional(EvalContext& context, const Value& value);

// "no such overload: int + double; …".
[[nodiscard]] Value no_overload(EvalContext& context, std::string_view operation, const Argument& a,
                                const Argument& b);

}  // namespace penstock::cel
