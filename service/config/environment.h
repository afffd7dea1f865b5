// Environment variables and files in configuration values: `${VAR}`, `${VAR:-default}`,
// `${file:/a/path}`, `$$` for a dollar.
//
// Only values are expanded, after YAML has been read, so that a variable can never change the
// structure of the file, and what came from a variable is not expanded again. Line ends at the end
// of a value are left out: files of secrets end in one. A file is read when the configuration is,
// and no more of it than a secret or a certificate has. A dollar that is not followed by
// `{` or `$` stands for itself. Threads: free functions, callable from any thread but for
// tidy_process_environment().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::config {

// The value of a variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

// Whether what only servers are for (addresses, accounts, ports) has to be known. Where it is not
// needed, a value whose variable or file is not there is left out.
enum class Servers : std::uint8_t { needed, not_needed };

// The process's own environment.
[[nodiscard]] Environment process_environment();

struct Expansion {
  struct Mistake {
    std::size_t offset = 0;  // byte in the original text
    std::string message;     // "the environment variable 'KAFKA' is not set"
    std::string hint;
  };

  std::string text;
  // For every byte of `text`, and its end: the byte of the original that it came from.
  std::vector<std::uint32_t> origin;
  std::vector<Mistake> mistakes;
  std::vector<std::string> variables;  // whose values are in `text`; a file as "file:/a/path"
  std::vector<std::string> cut;        // those of them that ended in line ends
};

// Takes the line ends off the end of the variables that libraries read by themselves (libpq's PG…,
// OpenTelemetry's OTEL_…), and returns the names of those that had some. Before other threads run.
std::vector<std::string> tidy_process_environment();

// How a message calls the value of `variables`, joined by ", ": it may be a secret.
[[nodiscard]] std::string value_of(std::string_view variables);

// A value without the line ends at its end.
[[nodiscard]] std::string_view without_line_end(std::string_view value);

[[nodiscard]] Expansion expand(std::string_view text, const Environment& environment);

}  // namespace penstock::config
