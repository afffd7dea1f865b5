#include "cel/diagnostic.h"

#include <algorithm>
#include <utility>

#include "cel/syntax/position.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

// Long lines are cut around the place.
constexpr std::size_t kShownBefore = 60;
constexpr std::size_t kShownAfter = 40;

std::string_view line_of(std::string_view source, std::uint32_t line) {
  std::size_t begin = 0;
  for (; line > 1; --line) {
    const std::size_t end = source.find('\n', begin);
    if (end == std::string_view::npos) return {};
    begin = end + 1;
  }
  return source.substr(begin, source.find('\n', begin) - begin);
}

// The byte offset of a column, tolerant of a column past the end.
std::size_t offset_of_column(std::string_view line, std::size_t column) {
  return std::min(text::code_point_offset(line, column - 1), line.size());
}

void append_indented(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += "    ";
    out += text.substr(0, end);
    out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// A message quotes the source, which may have a name of a megabyte.
std::string shortened(std::string text) {
  constexpr std::size_t kLongest = 1000;
  if (text.size() <= kLongest) return text;
  text.resize(text::cut_utf8(text, kLongest).size());
  return text + "…";
}

}  // namespace

Position position_of(std::string_view source, std::uint32_t offset) {
  const std::string_view before = source.substr(0, std::min<std::size_t>(offset, source.size()));
  Position position;
  position.line += static_cast<std::uint32_t>(std::ranges::count(before, '\n'));
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  position.column += static_cast<std::uint32_t>(text::count_code_points(before.substr(line_start)));
  return position;
}

Diagnostic diagnostic_at(std::string_view source, std::uint32_t offset, std::string message,
                         std::string hint) {
  const Position position = position_of(source, offset);
  return {position.line, position.column, shortened(std::move(message)),
          shortened(std::move(hint))};
}

std::string render(std::string_view source, const SourcePlace& place,
                   std::span<const Diagnostic> diagnostics) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) {
    const std::uint32_t column = diagnostic.column + (diagnostic.line == 1 ? place.column - 1 : 0);
    out += place.file;
    out += place.file.empty() ? "" : ":";
    out += std::to_string(diagnostic.line + place.line - 1) + ':' + std::to_string(column) + ": " +
           diagnostic.message + '\n';

    const std::string_view line = line_of(source, diagnostic.line);
    const std::size_t caret = offset_of_column(line, diagnostic.column);
    std::size_t begin = 0;
    if (caret > kShownBefore) {
      begin = caret - kShownBefore;
      while (begin < caret && text::is_continuation(line[begin])) ++begin;
    }
    std::size_t end = line.size();
    if (end - caret > kShownAfter) {
      end = caret + kShownAfter;
      while (end < line.size() && text::is_continuation(line[end])) ++end;
    }
    const std::string_view cut_mark = begin > 0 ? "…" : "";
    out += "  | ";
    out += cut_mark;
    out += line.substr(begin, end - begin);
    out += end < line.size() ? "…\n" : "\n";
    out += "  | ";
    out.append(text::count_code_points(line.substr(begin, caret - begin)) + (begin > 0 ? 1 : 0),
               ' ');
    out += "^\n";
    append_indented(out, diagnostic.hint);
  }
  return out;
}

std::string render(std::string_view source, std::string_view file,
                   std::span<const Diagnostic> diagnostics) {
  return render(source, SourcePlace{file, 1, 1}, diagnostics);
}

}  // namespace penstock::cel
