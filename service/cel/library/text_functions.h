// What the string functions share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cel/eval_context.h"
#include "cel/value.h"

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

Value matches_dynamic(EvalContext& context, std::span<const Value> args);
Value format(EvalContext& context, std::span<const Value> args);
Value quote(EvalContext& context, std::span<const Value> args);

}  // namespace penstock::cel
