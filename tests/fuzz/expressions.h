// Expressions that the checker accepts, mostly, made of the fuzzer's bytes: every function of the
// library, operator and macro, put together by their types.
#pragma once

#include <string>

#include "cel/environment.h"
#include "fuzz/inputs.h"

namespace penstock::cel {

[[nodiscard]] std::string fuzz_expression(FuzzBytes& bytes, const Environment& environment);

}  // namespace penstock::cel
