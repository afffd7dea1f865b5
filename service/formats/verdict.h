// What became of one payload: read, or why not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::formats {

struct Verdict {
  // Empty: it was read. Else stable and snake_case, in static storage: empty_payload,
  // record_too_large, not_utf8, registry_format, compressed_payload, invalid_utf8, invalid_json,
  // truncated_json, trailing_content, too_deep.
  std::string_view reason;
  std::string message;  // for people; names the byte (from 0) where that is known

  [[nodiscard]] bool ok() const { return reason.empty(); }
};

[[nodiscard]] Verdict too_large(std::size_t bytes, std::size_t allowed_bytes);
[[nodiscard]] Verdict takes_too_much_memory(std::size_t allowed_bytes);

}  // namespace penstock::formats
