#include "cel/library/text_functions.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "cel/library/patterns.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kFirstCapacity = 64;
constexpr std::size_t kQuotedBytesPerStep = 4;

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

Value matches_dynamic(EvalContext& context, std::span<const Value> args) {
  Value error;
  const auto regex = recent_regex(context, args[1].as_string(), &error);
  if (regex == nullptr) return error;
  const std::string_view text = args[0].as_string();
  if (!context.charge(match_steps(*regex, text.size()))) return context.out_of_steps();
  return Value::of_bool(re2::RE2::PartialMatch({text.data(), text.size()}, *regex));
}

Value quote(EvalContext& context, std::span<const Value> args) {
  const std::string_view text = args[0].as_string();
  if (!context.charge(text.size() / kQuotedBytesPerStep)) return context.out_of_steps();
  TextBuilder out(context);
  out.add("\"");
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
