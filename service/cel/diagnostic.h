// What is wrong with an expression, and where.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace penstock::cel {

struct Diagnostic {
  std::uint32_t line = 1;    // 1-based, within the expression
  std::uint32_t column = 1;  // 1-based, in code points
  std::string message;       // "undeclared reference to 'mgs'"
  std::string hint;          // "did you mean 'msg'?"; may be empty, may have several lines
};

// Where the expression's first character stands in the file that holds it.
struct SourcePlace {
  std::string_view file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

// For people: per diagnostic `file:line:column: message`, the line of the expression with a caret
// below the place, and the hint. `place` shifts the positions into the file.
[[nodiscard]] std::string render(std::string_view source, const SourcePlace& place,
                                 std::span<const Diagnostic> diagnostics);
[[nodiscard]] std::string render(std::string_view source, std::string_view file,
                                 std::span<const Diagnostic> diagnostics);

}  // namespace penstock::cel
