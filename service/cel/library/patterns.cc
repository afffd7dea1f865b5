#include "cel/library/patterns.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace penstock::cel {
namespace {

constexpr std::size_t kRecentPatterns = 8;  // that are kept compiled
constexpr std::int64_t kRegexMemoryBytes = std::int64_t{2} << 20;

// Compiling: for any pattern, per instruction of its program, and to find out that one is too
// large.
constexpr std::uint64_t kStepsPerPattern = 1000;
constexpr std::uint64_t kStepsPerInstruction = 30;
constexpr std::uint64_t kStepsPerLargePattern = 1'000'000;
// Matching takes about 0.2 steps per byte with a program of a few instructions, and at worst, when
// RE2 cannot keep its automaton in memory, nearly one step per byte and instruction. This counts
// what is usual in full, and the worst at a fraction that still ends after a second.
constexpr std::uint64_t kBytesTimesInstructionsPerStep = 16;

std::unique_ptr<const re2::RE2> compile_regex(std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryBytes);
  return std::make_unique<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()),
                                          options);
}

// Empty: it is a good one. RE2 alone has \C, for one byte; what it matches need not be text.
std::string complaint(const re2::RE2& regex) {
  if (!regex.ok()) return regex.error();
  const std::string& pattern = regex.pattern();
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] == '\\' && pattern[++i] == 'C') return "\\C could match a part of a character";
  }
  return {};
}

// Compiles the pattern, unless this thread has done so lately. *steps is what that counts.
std::shared_ptr<const re2::RE2> recent_regex(std::string_view pattern, std::uint64_t* steps) {
  thread_local std::vector<std::shared_ptr<const re2::RE2>> recent;  // the last used first
  auto at = std::ranges::find(
      recent, pattern, [](const auto& regex) -> std::string_view { return regex->pattern(); });
  if (at == recent.end()) {
    std::shared_ptr<const re2::RE2> made = compile_regex(pattern);
    if (!made->ok()) {
      *steps = made->error_code() == re2::RE2::ErrorPatternTooLarge ? kStepsPerLargePattern : 0;
      return made;
    }
    if (recent.size() == kRecentPatterns) recent.pop_back();
    at = recent.insert(recent.end(), std::move(made));
  }
  std::rotate(recent.begin(), at, at + 1);
  *steps = kStepsPerInstruction * static_cast<std::uint64_t>(recent.front()->ProgramSize());
  return recent.front();
}

}  // namespace

struct CompiledPatterns {
  std::array<std::string_view, kRecentPatterns> texts;  // the last used first
};

namespace {

// Whether this evaluation has compiled the pattern lately. Then the thread has, too, but what other
// evaluations of the thread compiled must not change what this one counts.
bool use_compiled(EvalContext& context, std::string_view pattern) {
  if (context.patterns == nullptr) return false;
  auto& texts = context.patterns->texts;
  auto* const at = std::ranges::find(texts, pattern);
  if (at == texts.end() || at->data() == nullptr) return false;
  std::rotate(texts.begin(), at, at + 1);
  return true;
}

// False: out of memory.
bool add_compiled(EvalContext& context, std::string_view pattern) {
  if (context.patterns == nullptr) {
    void* memory = context.arena.allocate(sizeof(CompiledPatterns), alignof(CompiledPatterns));
    if (memory == nullptr) return false;
    context.patterns = new (memory) CompiledPatterns;
  }
  auto& texts = context.patterns->texts;
  std::shift_right(texts.begin(), texts.end(), 1);
  texts[0] = pattern;
  return true;
}

}  // namespace

std::shared_ptr<const re2::RE2> recent_regex(EvalContext& context, std::string_view pattern,
                                             Value* error) {
  *error = context.out_of_steps();
  if (!context.charge(1 + pattern.size())) return nullptr;
  const bool is_known = use_compiled(context, pattern);
  if (!is_known && !context.charge(kStepsPerPattern)) return nullptr;
  std::uint64_t steps = 0;
  auto regex = recent_regex(pattern, &steps);
  if (!is_known && !context.charge(steps)) return nullptr;
  if (const std::string why = complaint(*regex); !why.empty()) {
    *error = context.fail(ErrorCode::kInvalidArgument, {"bad regular expression: ", why});
    return nullptr;
  }
  if (!is_known && !add_compiled(context, pattern)) {
    *error = context.out_of_memory();
    return nullptr;
  }
  return regex;
}

std::unique_ptr<const re2::RE2> make_regex(std::string_view pattern, std::string* why) {
  auto regex = compile_regex(pattern);
  *why = complaint(*regex);
  return why->empty() ? std::move(regex) : nullptr;
}

std::uint64_t match_steps(const re2::RE2& regex, std::size_t text_bytes) {
  return 1 + text_bytes * static_cast<std::uint64_t>(regex.ProgramSize()) /
                 kBytesTimesInstructionsPerStep;
}

}  // namespace penstock::cel
