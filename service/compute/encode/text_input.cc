#include "compute/encode/text_input.h"

#include <array>
#include <cstring>
#include <format>
#include <string>
#include <string_view>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/json/token.h"
#include "cel/text.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"
#include "compute/encode/text_encoder.h"

namespace penstock::compute {
namespace {

using cel::Kind;
using cel::Value;

// PostgreSQL's MAXDIM.
constexpr int kMostDimensions = 6;

// In double quotes, as array_in(), range_in() and multirange_in() read it.
void append_quoted(std::string& text, std::string_view part) {
  text += '"';
  for (const char c : part) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  text += '"';
}

bool is_number(const Value& value) {
  return cel::is_number(value.kind()) ||
         (value.is_json() && !value.as_json().empty() && value.as_json()[0] != '"');
}

// Appends values to a text.
class TextInput {
 public:
  TextInput(const ColumnDescription& column, FieldBuffer& scratch, EncodeProblem& problem)
      : column_(column), text_(scratch.text), copy_(scratch.digits), problem_(problem) {}

  bool field(const Value& value) {
    if (!column_.is_array) return element(value);
    if (value.is_string()) return string(value.as_string());
    if (value.is_list()) return array(value.as_list(), 1);
    return refuse(problem_, "wrong_type",
                  std::format("{} does not go into a column of type {}, which takes a list",
                              cel::to_string(value.kind()), column_.type_name));
  }

 private:
  // One value of the type, or of the elements' type.
  bool element(const Value& value) {
    if (value.is_string()) return fits(value.as_string()) && string(value.as_string());
    switch (column_.text_form) {
      case TextForm::plain:
        break;
      case TextForm::number:
        if (is_number(value)) return number(value);
        break;
      case TextForm::range:
        if (value.is_map()) return range(value.as_map());
        break;
      case TextForm::multirange:
        if (value.is_list()) return multirange(value.as_list());
        break;
      case TextForm::document:
        if (is_number(value) || value.is_list() || value.is_map()) return json(value);
        break;
    }
    return refuse_type(column_, value, problem_);
  }

  // What PostgreSQL would make something else of, without a word.
  bool fits(std::string_view text) {
    if (column_.text_form == TextForm::number) return is_not_negative(text);
    const bool is_char = column_.type_name.starts_with("\"char\"");
    if (!is_char || text.size() <= 1 || is_octal(text)) return true;
    return refuse(problem_, "too_long",
                  std::format("the string has {} bytes, \"char\" takes one", text.size()));
  }

  // "\\ooo", a byte as PostgreSQL writes those that are no ASCII.
  static bool is_octal(std::string_view text) {
    return text.size() == 4 && text[0] == '\\' &&
           text.find_first_not_of("01234567", 1) == std::string_view::npos;
  }

  // Of an oid or xid it would count back from the largest one.
  bool is_not_negative(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\n\v\f\r");
    if (begin == std::string_view::npos) return true;
    text.remove_prefix(begin);
    if (text.size() < 2 || text[0] != '-' || !cel::is_digit(text[1])) return true;
    return refuse_range(column_, problem_);
  }

  bool number(const Value& value) {
    const std::size_t begin = text_.size();
    return json(value) && is_not_negative(std::string_view(text_).substr(begin));
  }

  bool string(std::string_view part) {
    if (part.contains('\0')) {
      return refuse(problem_, "nul_in_text",
                    "the string holds a NUL character, which PostgreSQL's texts cannot have",
                    "take it out in the expression");
    }
    text_ += part;
    return true;
  }

  // A number, or a document, as it is written.
  bool json(const Value& value) {
    if (cel::append_json(text_, value) == cel::JsonText::written) return true;
    return refuse(problem_, "out_of_range", "it is or holds what JSON cannot have");
  }

  bool array(const cel::List& list, int dimension) {
    if (dimension > kMostDimensions) {
      return refuse(problem_, "wrong_type",
                    std::format("the list has more than {} dimensions", kMostDimensions));
    }
    // Where an element is a list itself, the lists in the list are the elements.
    const bool has_dimensions =
        column_.text_form != TextForm::multirange && column_.text_form != TextForm::document;
    text_ += '{';
    for (std::uint32_t i = 0; i < list.size; ++i) {
      if (i > 0) text_ += column_.array_delimiter;
      const Value& item = list[i];
      bool ok = true;
      if (item.is_null()) {
        text_ += "NULL";
      } else if (item.is_list() && has_dimensions) {
        ok = array(item.as_list(), dimension + 1);
      } else {
        ok = quoted_element(item);
      }
      if (!ok) {
        problem_.message = std::format("item {} of the list: {}", i, problem_.message);
        return false;
      }
    }
    text_ += '}';
    return true;
  }

  bool quoted_element(const Value& item) {
    const std::size_t begin = text_.size();
    if (!element(item)) return false;
    copy_.assign(text_, begin);
    text_.resize(begin);
    append_quoted(text_, copy_);
    return true;
  }

  bool multirange(const cel::List& list) {
    text_ += '{';
    for (std::uint32_t i = 0; i < list.size; ++i) {
      if (i > 0) text_ += ',';
      const Value& item = list[i];
      const bool ok = item.is_string() ? string(item.as_string())
                      : item.is_map()  ? range(item.as_map())
                                       : refuse_type(column_, item, problem_);
      if (!ok) return false;
    }
    text_ += '}';
    return true;
  }

  // {"lower": 1, "upper": 5, "bounds": "[)"}: a bound that is not there is infinite.
  bool range(const cel::Map& map) {
    std::string_view bounds = "[)";
    const Value* lower = nullptr;
    const Value* upper = nullptr;
    for (const cel::MapEntry& entry : map.entries()) {
      const std::string_view key = entry.key.is_string() ? entry.key.as_string() : "";
      if (key == "lower") {
        lower = &entry.value;
      } else if (key == "upper") {
        upper = &entry.value;
      } else if (key == "bounds" && entry.value.is_string()) {
        bounds = entry.value.as_string();
      } else {
        return refuse_range_map();
      }
    }
    constexpr std::array<std::string_view, 4> kBounds{"[)", "[]", "()", "(]"};
    if (!std::ranges::contains(kBounds, bounds) || (lower == nullptr && upper == nullptr)) {
      return refuse_range_map();
    }
    text_ += bounds[0];
    if (lower != nullptr && !bound(*lower)) return false;
    text_ += ',';
    if (upper != nullptr && !bound(*upper)) return false;
    text_ += bounds[1];
    return true;
  }

  bool refuse_range_map() {
    return refuse(problem_, "invalid_range",
                  "not a range such as {\"lower\": 1, \"upper\": 5, \"bounds\": \"[)\"}",
                  "a string such as \"[1,5)\" is one, too");
  }

  bool bound(const Value& value) {
    if (value.is_null()) return true;
    if (value.is_string()) {
      if (value.as_string().contains('\0')) return string(value.as_string());
      append_quoted(text_, value.as_string());
      return true;
    }
    // Of which JSON's form is one in quotes.
    if (is_number(value) || value.is_timestamp()) return json(value);
    return refuse_type(column_, value, problem_);
  }

  const ColumnDescription& column_;
  std::string& text_;
  std::string& copy_;
  EncodeProblem& problem_;
};

}  // namespace

bool encode_text_input(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                       EncodeProblem& problem) {
  out.text.clear();
  if (!TextInput(column, out, problem).field(value)) return false;
  const std::size_t bytes = out.text.size() + 1;
  if (bytes > kMaxFieldBytes) return refuse_size(bytes, problem);
  char* const at =
      store(out.extend(sizeof(std::int32_t) + bytes), static_cast<std::int32_t>(bytes));
  std::memcpy(at, out.text.c_str(), bytes);
  return true;
}

}  // namespace penstock::compute
