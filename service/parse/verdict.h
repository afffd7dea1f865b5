// What became of one payload: read, or why not.
#pragma once

#include <string>
#include <string_view>

namespace penstock::parse {

struct Verdict {
  // Empty: it was read. Else stable and snake_case, in static storage: empty_payload,
  // record_too_large, not_utf8, invalid_utf8, invalid_json, truncated_json, trailing_content,
  // too_deep, number_out_of_range.
  std::string_view reason;
  std::string message;  // for people; names the byte (from 0) where that is known

  [[nodiscard]] bool ok() const { return reason.empty(); }
};

}  // namespace penstock::parse
