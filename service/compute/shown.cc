#include "compute/shown.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

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

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMostNames = 12;
  constexpr std::size_t kNameBytes = 60;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    const std::string_view cut = text::cut_utf8(names[i], kNameBytes);
    text += i == 0 ? "" : ", ";
    text += cut;
    if (cut.size() < names[i].size()) text += "…";
  }
  if (names.size() > kMostNames) text += ", …";
  return text;
}

}  // namespace penstock::compute
