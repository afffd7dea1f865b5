#include "compute/shown.h"

#include <cstddef>
#include <string_view>

#include "cel/text.h"

namespace penstock::compute {
namespace {

constexpr std::size_t kShownBytes = 80;

std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

std::string shown(const cel::Value& value) {
  std::string text;
  if (value.is_string()) {
    // Long texts are cut before they are quoted, not after.
    text = cel::to_text(cel::Value::of_string(cut(value.as_string(), 2 * kShownBytes)));
  } else {
    text = cel::to_text(value);
  }
  if (text.size() <= kShownBytes) return text;
  return std::string(cut(text, kShownBytes)) + "…";
}

}  // namespace penstock::compute
