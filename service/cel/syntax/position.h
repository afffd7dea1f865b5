// Byte offsets to lines and columns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cel/diagnostic.h"

namespace penstock::cel {

struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;  // in code points
};

[[nodiscard]] Position position_of(std::string_view source, std::uint32_t offset);

[[nodiscard]] Diagnostic diagnostic_at(std::string_view source, std::uint32_t offset,
                                       std::string message, std::string hint = {});

}  // namespace penstock::cel
