#include "cel/eval_error.h"

namespace penstock::cel {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kNoSuchField:
      return "no_such_field";
    case ErrorCode::kNoSuchKey:
      return "no_such_key";
    case ErrorCode::kNoSuchOverload:
      return "no_such_overload";
    case ErrorCode::kOverflow:
      return "overflow";
    case ErrorCode::kDivideByZero:
      return "divide_by_zero";
    case ErrorCode::kOutOfRange:
      return "out_of_range";
    case ErrorCode::kNumberOutOfRange:
      return "number_out_of_range";
    case ErrorCode::kLoneSurrogate:
      return "lone_surrogate";
    case ErrorCode::kNotAnObject:
      return "not_an_object";
    case ErrorCode::kWrongType:
      return "wrong_type";
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kLimitExceeded:
      return "limit_exceeded";
    case ErrorCode::kUndeclared:
      return "undeclared";
  }
  return "";
}

std::string describe(const EvalError& error) {
  std::string text(error.message);
  if (error.line != 0) {
    text += " (at ";
    text += std::to_string(error.line);
    text += ':';
    text += std::to_string(error.column);
    text += ')';
  }
  return text;
}

}  // namespace penstock::cel
