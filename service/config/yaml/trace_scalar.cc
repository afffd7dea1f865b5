// Follows a scalar through its YAML style. The value that yaml-cpp made of it is known, so every
// step can be verified; what does not fit is given the nearest place before.
#include <algorithm>

#include "config/yaml/document.h"

namespace penstock::config {
namespace {

class Tracer {
 public:
  Tracer(std::string_view text, std::size_t begin, std::string_view value)
      : text_(text), at_(skip_properties(text, begin)), value_(value) {
    bytes_.reserve(value.size() + 1);
  }

  std::vector<std::uint32_t> run() {
    switch (peek()) {
      case '\'':
      case '"':
        quote_ = peek();
        ++at_;
        follow_line_style();
        break;
      case '|':
      case '>':
        follow_block();
        break;
      default:
        follow_line_style();
    }
    const std::size_t end = std::min(at_, text_.size());
    const std::size_t rest = bytes_.empty() || complete() ? end : bytes_.back();
    bytes_.resize(value_.size() + 1, static_cast<std::uint32_t>(rest));
    return std::move(bytes_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool complete() const { return bytes_.size() >= value_.size(); }
  [[nodiscard]] char wanted() const { return value_[bytes_.size()]; }
  void take(std::size_t place) { bytes_.push_back(static_cast<std::uint32_t>(place)); }

  // Plain and quoted scalars: one line, or several that are folded.
  void follow_line_style() {
    while (!complete() && at_ < text_.size()) {
      const std::size_t run_end = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
      const std::string_view run = text_.substr(at_, run_end - at_);
      if (run.contains('\n')) {
        follow_fold(run);
      } else if (quote_ == '\'' && peek() == '\'' && peek(1) == '\'') {
        if (!expect('\'', 2)) return;
      } else if (quote_ == '"' && peek() == '\\') {
        if (!follow_escape()) return;
      } else if (!expect(peek(), 1)) {
        return;
      }
    }
  }

  bool expect(char decoded, std::size_t length) {
    if (wanted() != decoded) return false;
    take(at_);
    at_ += length;
    return true;
  }

  void follow_fold(std::string_view run) {
    const std::size_t at = at_;
    at_ += run.size();
    while (!complete() && (wanted() == '\n' || wanted() == ' ')) take(at);
  }

  bool follow_escape() {
    const std::size_t at = at_;
    const char kind = peek(1);
    if (kind == '\n' || (kind == '\r' && peek(2) == '\n')) {  // an escaped line end is nothing
      at_ = std::min(text_.find_first_not_of(" \t\r\n", at_ + 1), text_.size());
      return true;
    }
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    at_ += 2 + digits;
    // One code point, of one byte or more.
    take(at);
    while (!complete() && (static_cast<unsigned char>(wanted()) & 0xC0U) == 0x80U) take(at);
    return true;
  }

  void follow_block() {
    at_ = std::min(text_.find('\n', at_), text_.size());
    ++at_;
    const std::size_t indent = block_indent();
    while (!complete() && at_ < text_.size()) {
      const std::size_t line_end = std::min(text_.find('\n', at_), text_.size());
      std::string_view line = text_.substr(at_, line_end - at_);
      if (line.ends_with('\r')) line.remove_suffix(1);
      const std::size_t spaces = std::min(line.find_first_not_of(' '), line.size());
      const std::size_t skip = std::min(spaces, indent);
      for (std::size_t i = skip; i < line.size() && !complete(); ++i) {
        if (wanted() != line[i]) return;
        take(at_ + i);
      }
      // The line's end is a line end, a space, or nothing when empty lines around were folded.
      if (!complete() && (wanted() == '\n' || wanted() == ' ')) take(line_end);
      at_ = line_end + 1;
    }
  }

  // What the first line that is not empty has in front, less what the value has there.
  [[nodiscard]] std::size_t block_indent() const {
    const auto leading = [](std::string_view text) {
      const std::size_t first = text.find_first_not_of(" \r\n");
      if (first == std::string_view::npos) return std::size_t{0};
      const std::size_t before = first == 0 ? std::string_view::npos : text.rfind('\n', first - 1);
      return first - (before == std::string_view::npos ? 0 : before + 1);
    };
    if (at_ >= text_.size()) return 0;
    const std::size_t in_text = leading(text_.substr(at_));
    const std::size_t in_value = leading(value_);
    return in_text > in_value ? in_text - in_value : 0;
  }

  const std::string_view text_;
  std::size_t at_;
  const std::string_view value_;
  char quote_ = 0;
  std::vector<std::uint32_t> bytes_;
};

}  // namespace

std::size_t skip_properties(std::string_view text, std::size_t byte) {
  while (byte < text.size() && (text[byte] == '&' || text[byte] == '!')) {
    byte = std::min(text.find_first_of(" \t\r\n", byte), text.size());
    byte = std::min(text.find_first_not_of(" \t\r\n", byte), text.size());
  }
  return byte;
}

std::vector<std::uint32_t> trace_scalar(std::string_view text, std::size_t begin,
                                        std::string_view value) {
  return Tracer(text, begin, value).run();
}

}  // namespace penstock::config
