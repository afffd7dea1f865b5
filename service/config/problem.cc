#include "config/problem.h"

#include <algorithm>
#include <string_view>

#include "text/printable.h"

namespace penstock::config {
namespace {

// Long lines are shown around the place only.
constexpr std::size_t kWidth = 100;

struct Window {
  std::string text;
  std::size_t caret = 0;  // columns before the caret
};

Window window_of(std::string_view line, std::size_t column) {
  // Byte index of every code point, so that the cut and the caret count what people see.
  std::vector<std::size_t> points;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U) points.push_back(i);
  }
  points.push_back(line.size());
  const std::size_t length = points.size() - 1;
  const std::size_t caret = std::min(column == 0 ? 0 : column - 1, length);
  const std::size_t begin = length <= kWidth || caret < kWidth * 3 / 4 ? 0 : caret - kWidth / 2;
  const std::size_t end = std::min(begin + kWidth, length);
  Window window;
  if (begin > 0) window.text = "…";
  window.caret = caret - begin + (begin > 0 ? 1 : 0);
  window.text += line.substr(points[begin], points[end] - points[begin]);
  if (end < length) window.text += "…";
  std::ranges::replace(window.text, '\t', ' ');
  return window;
}

}  // namespace

std::string render(std::span<const Problem> problems, Colour colour) {
  const bool on = colour == Colour::on;
  const std::string_view red = on ? "\033[1;31m" : "";
  const std::string_view bold = on ? "\033[1m" : "";
  const std::string_view plain = on ? "\033[0m" : "";
  std::string out;
  for (const Problem& problem : problems) {
    out.append(bold).append(problem.file);
    if (problem.line > 0) {
      out += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    }
    out.append(":").append(plain).append(" ");
    if (!problem.path.empty()) out.append(text::printable(problem.path)).append(": ");
    out.append(text::printable(problem.message)).append("\n");
    if (problem.line > 0 && !problem.source_line.empty()) {
      const Window window = window_of(problem.source_line, problem.caret);
      const std::string number = std::to_string(problem.line);
      out.append("  ").append(number).append(" | ").append(window.text).append("\n  ");
      out.append(number.size(), ' ').append(" | ").append(window.caret, ' ');
      out.append(red).append("^").append(plain).append("\n");
    }
    if (problem.hint.empty()) continue;
    out += "  hint: ";
    for (const char c : text::printable(problem.hint, text::Lines::keep))
      out += c == '\n' ? "\n        " : std::string(1, c);
    out += "\n";
  }
  return out;
}

}  // namespace penstock::config
