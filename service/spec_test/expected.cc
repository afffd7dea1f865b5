#include "spec_test/expected.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <format>
#include <optional>
#include <vector>

#include "cel/arena.h"
#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/inputs.h"
#include "cel/library/time.h"
#include "cel/text.h"
#include "core/record_batch.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"
#include "text/base64.h"

namespace penstock::spec_test {
namespace {

using cel::Kind;
using cel::Value;

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

double as_double(const Value& number) {
  return number.is_double() ? number.as_double()
         : number.is_int()  ? static_cast<double>(number.as_int())
                            : static_cast<double>(number.as_uint());
}

// Exact, where the language's own == rounds an int to compare it with a double. But of a double
// that was computed and has a fraction, only 15 digits count: no double has more of what a person
// writes, and 0.1 + 0.2 is 0.30000000000000004.
bool is_same_number(const Value& expected, const Value& actual) {
  if (cel::same_key(expected, actual)) return true;
  if (!actual.is_double() || actual.number_text() != nullptr) return false;
  const double wanted = as_double(expected);
  const double computed = actual.as_double();
  if (std::isnan(computed)) return std::isnan(wanted);
  const bool has_fraction = std::trunc(wanted) != wanted || std::trunc(computed) != computed;
  return has_fraction && std::format("{:.15g}", wanted) == std::format("{:.15g}", computed);
}

bool is_number(std::string_view expected, const Value& actual) {
  if (const auto number = number_of<std::int64_t>(expected)) {
    return is_same_number(Value::of_int(*number), actual);
  }
  if (const auto number = number_of<std::uint64_t>(expected)) {
    return is_same_number(Value::of_uint(*number), actual);
  }
  const auto number = number_of<double>(expected);
  return number && is_same_number(Value::of_double(*number), actual);
}

// A JSON document, for as long as this lives.
class Json {
 public:
  explicit Json(std::string_view text) : text_(text) {
    text_.resize(text.size() + RecordBatch::kPadding);
    cel::Inputs inputs;
    std::ignore = inputs.add("msg", {});
    reader_.emplace(formats::JsonOptions{}, tree_.emplace(inputs.paths()));
    ok_ = reader_->read({text_.data(), text.size()}, arena_, {&value_, 1}).ok();
  }
  // nullptr: it is none.
  [[nodiscard]] const Value* value() const { return ok_ ? &value_ : nullptr; }

 private:
  std::string text_;
  cel::Arena arena_;
  std::optional<formats::FieldTree> tree_;
  std::optional<formats::JsonReader> reader_;
  Value value_;
  bool ok_ = false;
};

bool is_key(std::string_view expected, const Value& key) {
  return key.is_string() ? key.as_string() == expected : cel::to_text(key) == expected;
}

// Values that JSON does not have stand in it as text.
bool is_same(const Value& expected, const Value& actual) {
  if (expected.is_list() && actual.is_list()) {
    const cel::List a = expected.as_list();
    const cel::List b = actual.as_list();
    if (a.size != b.size) return false;
    for (std::uint32_t i = 0; i < a.size; ++i) {
      if (!is_same(a[i], b[i])) return false;
    }
    return true;
  }
  if (expected.is_map() && actual.is_map()) {
    if (expected.as_map().size() != actual.as_map().size()) return false;
    for (const cel::MapEntry& entry : actual.as_map().entries()) {
      const Value* found = nullptr;
      for (const cel::MapEntry& other : expected.as_map().entries()) {
        if (is_key(other.key.as_string(), entry.key)) found = &other.value;
      }
      if (found == nullptr || !is_same(*found, entry.value)) return false;
    }
    return true;
  }
  if (cel::is_number(expected.kind()) && cel::is_number(actual.kind())) {
    return is_same_number(expected, actual);
  }
  const bool text_for_a_value = expected.is_string() && !actual.is_string() && !actual.is_null() &&
                                !actual.is_bool() && !cel::is_number(actual.kind());
  return text_for_a_value ? matches(expected.as_string(), actual) : cel::equal(expected, actual);
}

// Without the quotes that JSON has around it.
std::string as_json(const Value& value) {
  std::string text;
  if (cel::append_json(text, value) != cel::JsonText::written) return cel::to_text(value);  // NaN
  const bool quoted = !value.is_string() && text.starts_with('"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

bool matches(std::string_view expected, const Value& actual) {
  switch (actual.kind()) {
    case Kind::kAbsent:
      return expected == "DEFAULT";
    case Kind::kNull:
      return expected == "null";
    case Kind::kBool:
      return expected == (actual.as_bool() ? "true" : "false");
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
      return is_number(expected, actual);
    case Kind::kString:
      return expected == actual.as_string();
    case Kind::kBytes: {
      std::string bytes;
      return text::decode_base64(expected, bytes) && bytes == actual.as_bytes();
    }
    case Kind::kTimestamp:
      return cel::parse_timestamp(expected) == actual.as_timestamp();
    case Kind::kDuration:
      return cel::parse_duration(expected) == actual.as_duration();
    case Kind::kList:
    case Kind::kMap: {
      const Json json(expected);
      return json.value() != nullptr && is_same(*json.value(), actual);
    }
    default:
      return expected == as_json(actual);
  }
}

std::string shown(const Value& actual) {
  if (actual.is_absent()) return "DEFAULT (nothing sets the column)";
  return as_json(actual);
}

std::string shown_expected(std::string_view expected, const Value& actual) {
  if (!actual.is_string()) return std::string(expected);
  return as_json(Value::of_string(expected));
}

}  // namespace penstock::spec_test
