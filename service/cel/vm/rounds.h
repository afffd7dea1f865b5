// The rounds of a macro: iterators, and the lists and maps that grow in them.
//
// Each works on the registers that the instruction of the same name owns (see code.h) and returns
// false when the macro is over, with the result or the error in its register.
#pragma once

#include "cel/eval_context.h"
#include "cel/vm/code.h"
#include "cel/vm/operators.h"

namespace penstock::cel {

// False: empty, or not iterable (then register in.b holds the error).
[[nodiscard]] bool begin_rounds(const Instruction& in, const Argument& range, Value* registers,
                                EvalContext& context);
[[nodiscard]] bool next_round(Value* iterator) noexcept;

void begin_list(Value* list, const Value& iterator, EvalContext& context);
[[nodiscard]] bool append(Value* list, const Argument& item, EvalContext& context);

void begin_map(Value* map, EvalContext& context);
[[nodiscard]] bool add_entry(Value* map, const Argument& key, const Argument& value,
                             EvalContext& context);
[[nodiscard]] bool add_entries(Value* map, const Argument& entries, EvalContext& context);
void finish_map(Value* map, EvalContext& context);

}  // namespace penstock::cel
