// Regular expressions: compiled, kept, and counted.
//
// Threads: pure functions, but for what each thread keeps compiled for itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cel/eval_context.h"
#include "cel/value.h"

namespace re2 {
class RE2;
}

namespace penstock::cel {

// For a constant pattern, compiled with the program. nullptr and *why: it is not RE2's syntax, or
// too large.
[[nodiscard]] std::unique_ptr<const re2::RE2> make_regex(std::string_view pattern,
                                                         std::string* why);

// For a pattern that an evaluation comes with, at the cost of steps. A thread keeps the last few:
// most programs use the same ones for every record. nullptr and *error: it is none, or there were
// too few steps. The pattern's text must live as long as the evaluation.
[[nodiscard]] std::shared_ptr<const re2::RE2> recent_regex(EvalContext& context,
                                                           std::string_view pattern, Value* error);

// What matching a text once counts.
[[nodiscard]] std::uint64_t match_steps(const re2::RE2& regex, std::size_t text_bytes);

}  // namespace penstock::cel
