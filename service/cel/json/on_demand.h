// Values of a JSON document, made in one forward pass: what the reader of payloads and json.parse()
// have in common.
//
// Api names simdjson's On-Demand types (value, object, array, field, raw_json_string, error_code),
// so that no header of ours includes simdjson's.
//
// The whole of what is built or skipped is checked to be JSON (RFC 8259), UTF-8 excepted, which
// simdjson checks before. Integers are exact (int, above that uint), other numbers are doubles; all
// carry the place of their text along. A number that neither holds, and a string with half a
// surrogate pair, become Value::of_json(): they harm only who looks at them. Strings are unescaped;
// of a key that occurs twice the last one counts.
//
// Threads: one at a time. Ownership: what values point to lives in the document, the parser or the
// arena. Failure: false; error() is simdjson's, if it was simdjson that refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "cel/arena.h"
#include "cel/containers.h"
#include "cel/json/token.h"
#include "cel/value.h"

namespace penstock::cel {

template <typename Api>
class OnDemandValues {
 public:
  using Element = typename Api::value;

  // `depth`: how many brackets may be open at once.
  explicit OnDemandValues(std::uint32_t max_depth) : max_depth_(max_depth) {}

  void start(Arena& arena) {
    arena_ = &arena;
    error_ = {};
  }
  [[nodiscard]] typename Api::error_code error() const { return error_; }
  // Remembers what went wrong; true: something did.
  [[nodiscard]] bool fails(typename Api::error_code error) {
    error_ = error;
    return static_cast<bool>(error);
  }

  // `depth`: brackets open around the value.
  [[nodiscard]] bool build(Element& value, std::uint32_t depth, Value& out) {
    const char* const token = token_of(value);
    switch (*token) {
      case '"':
        return build_string(value, out);
      case '{':
        return build_map(value, depth, out);
      case '[':
        return build_list(value, depth, out);
      case 't':
      case 'f': {
        bool flag = false;
        if (fails(value.get_bool().get(flag))) return false;
        out = Value::of_bool(flag);
        return true;
      }
      case 'n':
        out = Value::null();
        return read_null(value);
      default:
        return build_number(value, token, out);
    }
  }

  // Only checks.
  [[nodiscard]] bool skip(Element& value, std::uint32_t depth) {
    const char* const token = token_of(value);
    switch (*token) {
      case '"':
        return skip_string(value);
      case '{':
        return skip_object(value, depth);
      case '[':
        return skip_array(value, depth);
      case 't':
      case 'f': {
        bool flag = false;
        return !fails(value.get_bool().get(flag));
      }
      case 'n':
        return read_null(value);
      default:
        return skip_number(token) != nullptr;
    }
  }

  [[nodiscard]] bool skip_object(Element& value, std::uint32_t depth) {
    typename Api::object object;
    if (!open_object(value, depth, object)) return false;
    for (auto result : object) {
      typename Api::field field;
      if (fails(std::move(result).get(field))) return false;
      const std::string_view key = field.escaped_key();
      if (has_backslash(key) && !are_escapes(key)) return false;
      if (!skip(field.value(), depth + 1)) return false;
    }
    return true;
  }

  [[nodiscard]] bool open_object(Element& value, std::uint32_t depth,
                                 typename Api::object& object) {
    return depth < max_depth_ && !fails(value.get_object().get(object));
  }

  // What a field is called. False: no JSON. A name that is not text, with half a surrogate pair in
  // it, has no key and stays as it is written.
  [[nodiscard]] bool read_key(typename Api::field& field, std::string_view& key, bool& is_text) {
    key = field.escaped_key();
    is_text = true;
    if (!has_backslash(key)) [[likely]]
      return true;
    const std::string_view written = key;
    if (field.unescaped_key().get(key)) {
      is_text = false;
      key = {written.data() - 1, written.size() + 2};  // its quotes
      return are_escapes(written);
    }
    // FieldTree::find_child() reads eight bytes; the text may end with its buffer.
    auto* const copy = static_cast<char*>(arena_->allocate(key.size() + 8, 1));
    if (copy == nullptr) return false;
    std::memcpy(copy, key.data(), key.size());
    std::memset(copy + key.size(), 0, 8);
    key = {copy, key.size()};
    return true;
  }

  [[nodiscard]] static const char* token_of(Element& value) {
    return value.raw_json_token().data();
  }

 private:
  bool build_map(Element& value, std::uint32_t depth, Value& out) {
    typename Api::object object;
    if (!open_object(value, depth, object)) return false;
    MapBuilder map(*arena_);
    for (auto result : object) {
      typename Api::field field;
      std::string_view key;
      bool is_text = true;
      Value item;
      if (fails(std::move(result).get(field)) || !read_key(field, key, is_text)) return false;
      if (!build(field.value(), depth + 1, item)) return false;
      map.add(is_text ? Value::of_string(key) : Value::of_json(key), item);
    }
    out = map.finish();
    return true;
  }

  bool build_list(Element& value, std::uint32_t depth, Value& out) {
    typename Api::array array;
    if (depth >= max_depth_ || fails(value.get_array().get(array))) return false;
    ListBuilder list(*arena_);
    for (auto result : array) {
      Element element;
      Value item;
      if (fails(result.get(element)) || !build(element, depth + 1, item)) return false;
      list.add(item);
    }
    out = list.finish();
    return true;
  }

  bool skip_array(Element& value, std::uint32_t depth) {
    typename Api::array array;
    if (depth >= max_depth_ || fails(value.get_array().get(array))) return false;
    for (auto result : array) {
      Element element;
      if (fails(result.get(element)) || !skip(element, depth + 1)) return false;
    }
    return true;
  }

  // Numbers stay where they are: On-Demand steps over a scalar that was not consumed. Strings must
  // be consumed, because it would take one before a ':' for a key.
  bool build_number(Element& value, const char* token, Value& out) {
    const char* at = token;
    const bool negative = *at == '-';
    if (negative) ++at;
    const char* const begin = at;
    std::uint64_t number = 0;
    while (is_digit(*at)) number = number * 10 + static_cast<std::uint64_t>(*at++ - '0');
    const auto digits = static_cast<std::size_t>(at - begin);
    if (*at == '.' || *at == 'e' || *at == 'E') {
      double real = 0;
      if (fails(value.get_double().get(real))) [[unlikely]]
        return keep_number(token, out);
      out = Value::of_double(real, token);
      return true;
    }
    if (digits == 0 || (*begin == '0' && digits > 1) || !ends_scalar(*at)) return false;
    if (digits > 19) [[unlikely]] {
      // 20 digits may still be a uint64: then they begin with 1 and did not wrap around.
      if (digits > 20 || *begin != '1' || number < 10'000'000'000'000'000'000U || negative) {
        return keep_number(token, out);
      }
    }
    if (negative) {
      constexpr std::uint64_t kLargest = std::uint64_t{1} << 63;
      if (number > kLargest) return keep_number(token, out);
      out = Value::of_int(static_cast<std::int64_t>(0 - number), token);
    } else if (number <= static_cast<std::uint64_t>(INT64_MAX)) {
      out = Value::of_int(static_cast<std::int64_t>(number), token);
    } else {
      out = Value::of_uint(number, token);
    }
    return true;
  }

  static bool keep_number(const char* token, Value& out) {
    const char* const end = skip_number(token);
    if (end == nullptr) return false;
    out = Value::of_json({token, end});
    return true;
  }

  bool build_string(Element& value, Value& out) {
    const std::string_view token = value.raw_json_token();
    const std::size_t end = token.rfind('"');
    std::string_view text = token.substr(1, end - 1);
    if (!has_backslash(text)) [[likely]] {
      out = Value::of_string(text);
      return consume_string(value);
    }
    if (!fails(value.get_string().get(text))) [[likely]] {
      out = Value::of_string(Api::kKeepsStrings ? text : arena_->copy(text));
      return true;
    }
    out = Value::of_json(token.substr(0, end + 1));
    return are_escapes(text);
  }

  bool skip_string(Element& value) {
    const std::string_view token = value.raw_json_token();
    const std::string_view text = token.substr(1, token.rfind('"') - 1);
    return (!has_backslash(text) || are_escapes(text)) && consume_string(value);
  }

  bool consume_string(Element& value) {
    typename Api::raw_json_string raw;
    return !fails(value.get_raw_json_string().get(raw));
  }

  bool read_null(Element& value) {
    bool is_null = false;
    return !fails(value.is_null().get(is_null)) && is_null;
  }

  std::uint32_t max_depth_;
  Arena* arena_ = nullptr;
  typename Api::error_code error_{};
};

}  // namespace penstock::cel
