// What is wrong with a configuration, where, and how to put it right.
//
// A problem never holds a secret: messages do not quote values that may be one, and the quoted
// source line is masked when the problem is made.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace penstock::config {

struct Problem {
  std::string file;
  std::uint32_t line = 0;    // 1-based; 0: the problem is with the file as a whole
  std::uint32_t column = 0;  // 1-based, in code points
  std::string path;          // "pipelines[0].sink.postgres"; empty for YAML syntax
  std::string message;       // "unknown field 'lane'"
  std::string hint;          // "did you mean 'postgres'?"; may be empty
  std::string source_line;   // the line of the file, secrets masked; empty when there is none
  std::uint32_t caret = 0;   // the place in `source_line`, which masking may have moved; 1-based
};

// In the order of the file.
using Problems = std::vector<Problem>;

enum class Colour : std::uint8_t { off, on };

// For a terminal or a log: per problem `file:line:column: path: message`, the line with a caret
// below the place, and the hint.
[[nodiscard]] std::string render(std::span<const Problem> problems, Colour colour = Colour::off);

}  // namespace penstock::config
