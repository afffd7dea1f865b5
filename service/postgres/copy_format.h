// What stands around the tuples of a binary COPY (PostgreSQL documentation, COPY, "Binary Format").
#pragma once

#include <string_view>

namespace penstock::postgres {

// Signature, flags, length of the extension.
inline constexpr std::string_view kCopyHeader{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
inline constexpr std::string_view kCopyTrailer{"\377\377"};

}  // namespace penstock::postgres
