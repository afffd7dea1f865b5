// "did you mean": hints for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cel/library/library.h"
#include "cel/type.h"

namespace penstock::cel {

// The candidate with the fewest edits, if they are few for the length of the word; else empty.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

// "did you mean 'x'?", or empty.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

// How people write the function: "+" for "_+_".
[[nodiscard]] std::string_view shown_name(std::string_view function);

// "(int, string)".
[[nodiscard]] std::string shown_types(const std::vector<Type>& types, bool is_method);

// The overloads that exist, and for numbers of different types how to convert.
[[nodiscard]] std::string overload_hint(const Function& function, const std::vector<Type>& types);

}  // namespace penstock::cel
