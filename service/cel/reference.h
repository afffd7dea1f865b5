// The manual of the language's functions, operators and macros, from the tables they are made of.
//
// Place in the flow: `penstock functions` prints it, docs/reference/cel.md is it, a test holds the
// page to it and runs every example. Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::cel {

struct ReferenceEntry {
  std::string_view group;               // "Strings"
  std::vector<std::string> signatures;  // "string.indexOf(string) -> int", "int + int -> int"
  std::string_view sentence;
  std::string_view example;  // an expression that is true
};

// Every entry, group by group.
[[nodiscard]] std::vector<ReferenceEntry> reference();

// As a page in Markdown: a table per group.
[[nodiscard]] std::string reference_page();

}  // namespace penstock::cel
