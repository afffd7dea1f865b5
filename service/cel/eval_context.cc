#include "cel/eval_context.h"

#include <cstring>
#include <limits>
#include <new>

#include "text/utf8.h"

namespace penstock::cel {
namespace {

constexpr EvalError kOutOfMemory{ErrorCode::kLimitExceeded, 0, 0,
                                 "the evaluation needs more memory than its limit"};
constexpr EvalError kOutOfSteps{ErrorCode::kLimitExceeded, 0, 0,
                                "the evaluation takes more steps than its limit"};

// A message quotes data; data may be large.
constexpr std::size_t kLongestPart = 200;

}  // namespace

Value EvalContext::fail(ErrorCode code, std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += text::cut_utf8(part, kLongestPart).size();
  void* memory = arena.allocate(sizeof(EvalError), alignof(EvalError));
  auto* text = static_cast<char*>(arena.allocate(size, 1));
  if (memory == nullptr || text == nullptr) return out_of_memory();
  char* end = text;
  for (std::string_view part : parts) {
    part = text::cut_utf8(part, kLongestPart);
    if (part.empty()) continue;
    std::memcpy(end, part.data(), part.size());
    end += part.size();
  }
  return Value::error(new (memory) EvalError{code, position.line, position.column, {text, size}});
}

Value EvalContext::out_of_memory() { return Value::error(&kOutOfMemory); }
Value EvalContext::out_of_steps() { return Value::error(&kOutOfSteps); }

Value EvalContext::concat(Kind kind, std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  if (size > std::numeric_limits<std::uint32_t>::max()) return out_of_memory();
  auto* text = static_cast<char*>(arena.allocate(size, 1));
  if (text == nullptr) return out_of_memory();
  char* end = text;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    std::memcpy(end, part.data(), part.size());
    end += part.size();
  }
  const std::string_view whole(text, size);
  return kind == Kind::kBytes ? Value::of_bytes(whole) : Value::of_string(whole);
}

}  // namespace penstock::cel
