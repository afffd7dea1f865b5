// What messages say of functions and types: how people write them, what would have fitted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/library/library.h"
#include "cel/type.h"

namespace penstock::cel {

// How people write the function: "+" for "_+_".
[[nodiscard]] std::string_view shown_name(std::string_view function);

// "(int, string)".
[[nodiscard]] std::string shown_types(const std::vector<Type>& types, bool is_method);

// The overloads that exist, and for numbers of different types how to convert.
[[nodiscard]] std::string overload_hint(const Function& function, const std::vector<Type>& types);

// For a function that is not there: what it is called here, or the nearest of these.
[[nodiscard]] std::string function_hint(std::string_view name,
                                        std::span<const std::string_view> functions);

}  // namespace penstock::cel
