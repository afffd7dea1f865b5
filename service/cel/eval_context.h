// What an evaluation carries along: memory, the step budget, and where it is.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "cel/arena.h"
#include "cel/eval_error.h"
#include "cel/syntax/position.h"
#include "cel/value.h"

namespace penstock::cel {

struct CompiledPatterns;

struct EvalContext {
  Arena& arena;
  std::uint64_t steps_left = 0;
  // The place that errors name.
  Position position{0, 0};
  // The regular expressions that it has compiled (library/patterns.cc).
  CompiledPatterns* patterns = nullptr;

  // An error whose message is the parts, one after the other.
  [[nodiscard]] Value fail(ErrorCode code, std::initializer_list<std::string_view> parts);
  [[nodiscard]] Value out_of_memory();
  [[nodiscard]] Value out_of_steps();

  // Takes from the budget; false: it is used up, return out_of_steps().
  [[nodiscard]] bool charge(std::uint64_t steps) noexcept {
    if (steps > steps_left) [[unlikely]] {
      steps_left = 0;
      return false;
    }
    steps_left -= steps;
    return true;
  }

  // A string made of the parts, in the arena; an error when it does not fit.
  [[nodiscard]] Value concat(Kind kind, std::initializer_list<std::string_view> parts);
};

// What reading a text once counts; nothing for other values.
[[nodiscard]] inline std::uint64_t text_steps(const Value& value) noexcept {
  constexpr std::size_t kBytesPerStep = 64;
  if (value.is_string()) return value.as_string().size() / kBytesPerStep;
  return value.is_bytes() ? value.as_bytes().size() / kBytesPerStep : 0;
}

}  // namespace penstock::cel
