// What an evaluation can fail with: a closed set of codes, and a message that names the place.
//
// Errors are values (Kind::kError) that point to an EvalError in the arena of the evaluation, or to
// a static one. Nothing in cel/ throws to its callers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::cel {

// Stable: the names (see to_string) appear in dead letters and metrics.
enum class ErrorCode : std::uint8_t {
  kNoSuchField,       // a select or has() on something that has no fields, or a missing input
  kNoSuchKey,         // a map has no such key
  kNoSuchOverload,    // the function or operator does not take values of these types
  kOverflow,          // integer, timestamp or duration arithmetic left its range
  kDivideByZero,      // integer division or modulus by zero
  kOutOfRange,        // an index outside a list or string, a conversion outside the target's range
  kNumberOutOfRange,  // a number of a document that neither 64 bits nor a double hold
  kLoneSurrogate,     // a string of a document with half a surrogate pair, which is not a character
  kNotAnObject,       // a field of a document that is no object
  kWrongType,         // a field of something that is neither an object nor null
  kInvalidArgument,   // text that does not parse, a bad regular expression, invalid UTF-8 …
  kLimitExceeded,     // the evaluation's cost or memory limit
  kUndeclared,        // an unknown name or function (only when compiled without type checks)
};

// "no_such_field", "overflow" …
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

struct EvalError {
  ErrorCode code;
  // Where in the expression, 1-based, in code points; 0 when it has no place there.
  std::uint32_t line;
  std::uint32_t column;
  // Complete by itself, without the place: "no such field: msg.amount".
  std::string_view message;
};

// "no such field: msg.amount (at 1:4)".
[[nodiscard]] std::string describe(const EvalError& error);

}  // namespace penstock::cel
