#include "cel/library/text_functions.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace penstock::cel {
namespace {

constexpr std::size_t kFirstCapacity = 64;
constexpr std::int64_t kRegexMemoryBytes = std::int64_t{2} << 20;

}  // namespace

bool is_space(std::uint32_t c) noexcept {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void TextBuilder::add(std::string_view text) {
  if (failed_ || text.empty()) return;
  if (text.size() > capacity_ - size_) {
    const std::size_t capacity = std::max({kFirstCapacity, capacity_ * 2, size_ + text.size()});
    auto* bigger = capacity <= std::numeric_limits<std::uint32_t>::max()
                       ? static_cast<char*>(context_.arena.allocate(capacity, 1))
                       : nullptr;
    if (bigger == nullptr) {
      failed_ = true;
      return;
    }
    if (size_ > 0) std::memcpy(bigger, text_, size_);
    text_ = bigger;
    capacity_ = capacity;
  }
  std::memcpy(text_ + size_, text.data(), text.size());
  size_ += text.size();
}

Value TextBuilder::finish() const {
  if (failed_) return context_.out_of_memory();
  return Value::of_string({text_, size_});
}

std::unique_ptr<const re2::RE2> make_regex(std::string_view pattern, std::string* why) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryBytes);
  auto regex =
      std::make_unique<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (regex->ok()) return regex;
  *why = regex->error();
  return nullptr;
}

std::shared_ptr<const re2::RE2> recent_regex(std::string_view pattern, std::string* why) {
  constexpr std::size_t kKept = 8;
  thread_local std::vector<std::shared_ptr<const re2::RE2>> recent;  // the last used first
  auto at = std::ranges::find(
      recent, pattern, [](const auto& regex) -> std::string_view { return regex->pattern(); });
  if (at == recent.end()) {
    std::shared_ptr<const re2::RE2> made = make_regex(pattern, why);
    if (made == nullptr) return nullptr;
    if (recent.size() == kKept) recent.pop_back();
    at = recent.insert(recent.end(), std::move(made));
  }
  std::rotate(recent.begin(), at, at + 1);
  return recent.front();
}

Value matches_dynamic(EvalContext& context, std::span<const Value> args) {
  const std::string_view pattern = args[1].as_string();
  if (!context.charge(kStepsPerPattern + pattern.size())) return context.out_of_steps();
  std::string why;
  const auto regex = recent_regex(pattern, &why);
  if (regex == nullptr) {
    return context.fail(ErrorCode::kInvalidArgument, {"bad regular expression: ", why});
  }
  const std::string_view text = args[0].as_string();
  return Value::of_bool(re2::RE2::PartialMatch({text.data(), text.size()}, *regex));
}

Value quote(EvalContext& context, std::span<const Value> args) {
  TextBuilder out(context);
  out.add("\"");
  const std::string_view text = args[0].as_string();
  std::size_t done = 0;
  constexpr std::string_view kSpecial = "\a\b\f\n\r\t\v\\\"";
  constexpr std::string_view kLetters = "abfnrtv\\\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t at = kSpecial.find(text[i]);
    if (at == std::string_view::npos) continue;
    out.add(text.substr(done, i - done));
    const char escape[2] = {'\\', kLetters[at]};
    out.add({escape, 2});
    done = i + 1;
  }
  out.add(text.substr(done));
  out.add("\"");
  return out.finish();
}

}  // namespace penstock::cel
