// A number with its noun: "1 row", "2 rows", "0 rows".
//
// Threads: pure.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace penstock::text {

// `noun` is in the singular, and takes an s.
[[nodiscard]] std::string counted(std::integral auto number, std::string_view noun) {
  std::string text = std::to_string(number);
  text.append(" ").append(noun);
  if (number != 1) text += 's';
  return text;
}

}  // namespace penstock::text
