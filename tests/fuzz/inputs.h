// The variables that expressions may name, and values, made of the fuzzer's bytes.
#pragma once

#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/type.h"
#include "cel/value.h"
#include "fuzz/bytes.h"

namespace penstock::cel {

// Variables of every type, a record and a document some of which is declared.
[[nodiscard]] const Environment& fuzz_environment();

// A value for each input. Most have their variable's type; some do not, for the engine must not
// fall over whatever a slot holds.
[[nodiscard]] std::vector<Value> fuzz_slots(FuzzBytes& bytes, const Inputs& inputs, Arena& arena);

// One value of a type; of any, if the type is dyn.
[[nodiscard]] Value fuzz_value(FuzzBytes& bytes, const Type& type, Arena& arena, int depth = 3);

}  // namespace penstock::cel
