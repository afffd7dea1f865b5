// What the string functions share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cel/eval_context.h"
#include "cel/value.h"

namespace re2 {
class RE2;
}

namespace penstock::cel {

// Unicode white space; zero-width characters are not.
[[nodiscard]] bool is_space(std::uint32_t code_point) noexcept;

// A string that grows in the arena.
class TextBuilder {
 public:
  explicit TextBuilder(EvalContext& context) : context_(context) {}
  void add(std::string_view text);
  [[nodiscard]] Value finish() const;

 private:
  EvalContext& context_;
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool failed_ = false;
};

// Compiling a pattern costs about as much as this many steps.
inline constexpr std::uint64_t kStepsPerPattern = 1000;

// nullptr and *why: the pattern is not RE2's syntax, or too large.
[[nodiscard]] std::unique_ptr<const re2::RE2> make_regex(std::string_view pattern,
                                                         std::string* why);

// The same, of a few patterns that this thread has used last: most programs use the same ones for
// every record.
[[nodiscard]] std::shared_ptr<const re2::RE2> recent_regex(std::string_view pattern,
                                                           std::string* why);

Value matches_dynamic(EvalContext& context, std::span<const Value> args);
Value format(EvalContext& context, std::span<const Value> args);
Value quote(EvalContext& context, std::span<const Value> args);

}  // namespace penstock::cel
