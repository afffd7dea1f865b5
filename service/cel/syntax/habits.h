// How what people write out of habit, mostly from SQL, is written in CEL: for the hints of
// messages.
//
// Threads: pure functions.
#pragma once

#include <string_view>

namespace penstock::cel {

// Of a word where an operator or a value should stand, in any case: "AND", "is", "like"; or of a
// few signs: "<>", "::". Empty: it is no habit that is known.
[[nodiscard]] std::string_view habit_of_word(std::string_view word);

// Of a function that there is not: "lower", "substr", "now".
[[nodiscard]] std::string_view habit_of_function(std::string_view name);

// Of a name that is not declared: "NULL", "TRUE", "current_timestamp".
[[nodiscard]] std::string_view habit_of_name(std::string_view name);

}  // namespace penstock::cel
