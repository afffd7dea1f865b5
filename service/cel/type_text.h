// Types as people write them: "int", "list(string)", "map(string, dyn)", "nullable(int)".
//
// Threads: pure function. Failure: the first thing that is wrong, with its place.
#pragma once

#include <expected>
#include <string_view>

#include "cel/diagnostic.h"
#include "cel/type.h"

namespace penstock::cel {

// As Type::to_string() writes it.
[[nodiscard]] std::expected<Type, Diagnostic> parse_type(std::string_view text);

}  // namespace penstock::cel
