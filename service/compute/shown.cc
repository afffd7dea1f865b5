#include "compute/shown.h"

#include <cstddef>

#include "cel/json/number.h"
#include "cel/text.h"
#include "text/utf8.h"

namespace penstock::compute {
namespace {

constexpr std::size_t kShownBytes = 80;

}  // namespace

std::string shown(const cel::Value& value) {
  std::string text;
  if (value.is_string()) {
    // Long texts are cut before they are quoted, not after.
    text = cel::to_text(cel::Value::of_string(text::cut_utf8(value.as_string(), 2 * kShownBytes)));
  } else if (value.is_double() && value.number_text() != nullptr) {
    text = cel::text_of_number(value);  // not as the double that it became
  } else {
    text = cel::to_text(value);
  }
  if (text.size() <= kShownBytes) return text;
  return std::string(text::cut_utf8(text, kShownBytes)) + "…";
}

}  // namespace penstock::compute
