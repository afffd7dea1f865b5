#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "cel/containers.h"
#include "cel/library/time.h"
#include "conformance/read_json.h"
#include "text/base64.h"

namespace penstock::conformance {
namespace {

using cel::Value;

class ValueReader {
 public:
  explicit ValueReader(cel::Arena& arena) : arena_(arena) {}

  Value read(const Json& json) {
    const auto [kind, content] = only_member(json, "a value");
    if (kind == "nullValue") return Value::null();
    if (kind == "boolValue") return Value::of_bool(boolean(*content));
    if (kind == "int64Value") return Value::of_int(integer<std::int64_t>(*content));
    if (kind == "uint64Value") return Value::of_uint(integer<std::uint64_t>(*content));
    if (kind == "doubleValue") return Value::of_double(number(*content));
    if (kind == "stringValue") return Value::of_string(text(*content));
    if (kind == "bytesValue") return Value::of_bytes(bytes(*content));
    if (kind == "typeValue") return Value::of_type(text(*content));
    if (kind == "listValue") return list(*content);
    if (kind == "mapValue") return map(*content);
    if (kind == "objectValue") return object(*content);
    // Enums are integers here.
    if (kind == "enumValue") return Value::of_int(enum_number(*content));
    throw Malformed("there is no kind of value '" + kind + "'");
  }

 private:
  static bool boolean(const Json& json) {
    if (!json.is_boolean()) throw Malformed("expected true or false, not " + json.dump());
    return json.get<bool>();
  }

  std::string_view text(const Json& json) {
    if (!json.is_string()) throw Malformed("expected a string, not " + json.dump());
    return arena_.copy(json.get_ref<const std::string&>());
  }

  // A JSON number, or its digits in a string.
  template <typename Integer>
  static Integer integer(const Json& json) {
    const std::string digits = json.is_string() ? json.get<std::string>() : json.dump();
    Integer value = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, status] = std::from_chars(digits.data(), end, value);
    if (status == std::errc() && at == end && !digits.empty()) return value;
    // 1e3 and 1.0 are integers too.
    const std::optional<double> d = as_double(digits);
    constexpr double kAboveAll = std::is_signed_v<Integer> ? 0x1p63 : 0x1p64;
    if (d && *d == std::trunc(*d) && *d < kAboveAll &&
        *d >= (std::is_signed_v<Integer> ? -0x1p63 : 0.0)) {
      return static_cast<Integer>(*d);
    }
    throw Malformed("expected an integer of 64 bits, not " + json.dump());
  }

  static std::optional<double> as_double(const std::string& digits) {
    double d = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, status] = std::from_chars(digits.data(), end, d);
    if (status != std::errc() || at != end) return std::nullopt;
    return d;
  }

  static double number(const Json& json) {
    if (json.is_number()) return json.get<double>();
    if (json.is_string()) {
      const auto digits = json.get<std::string>();
      if (digits == "NaN") return std::numeric_limits<double>::quiet_NaN();
      if (digits == "Infinity") return std::numeric_limits<double>::infinity();
      if (digits == "-Infinity") return -std::numeric_limits<double>::infinity();
      if (const auto d = as_double(digits)) return *d;
    }
    throw Malformed("expected a number, not " + json.dump());
  }

  // The standard alphabet or that for URLs, with padding or without.
  std::string_view bytes(const Json& json) {
    std::string encoded(text(json));
    for (char& c : encoded) {
      if (c == '-') c = '+';
      if (c == '_') c = '/';
    }
    std::string decoded;
    if (!text::decode_base64(encoded, decoded)) {
      throw Malformed("expected bytes in base64, not " + json.dump());
    }
    return arena_.copy(decoded);
  }

  Value list(const Json& json) {
    cel::ListBuilder builder(arena_);
    for (const Json& item : array_at(json, "values")) builder.add(read(item));
    return builder.finish();
  }

  Value map(const Json& json) {
    cel::MapBuilder builder(arena_);
    for (const Json& entry : array_at(json, "entries")) {
      const Json* key = find(entry, "key");
      const Json* value = find(entry, "value");
      if (key == nullptr || value == nullptr) {
        throw Malformed("a map's entry has a key and a value; this is " + entry.dump());
      }
      builder.add(read(*key), read(*value));
    }
    const Value map = builder.finish();
    if (builder.had_duplicates()) throw Malformed("a map has a key twice: " + json.dump());
    return map;
  }

  static std::int64_t enum_number(const Json& json) {
    const Json* value = find(json, "value");
    return value == nullptr ? 0 : integer<std::int32_t>(*value);
  }

  // A google.protobuf.Any: the message's fields beside "@type", or its own JSON as "value".
  Value object(const Json& json) {
    const std::string url = string_at(json, "@type");
    const std::string type = url.substr(url.rfind('/') + 1);
    constexpr std::string_view kPrefix = "google.protobuf.";
    const Json* value = find(json, "value");
    if (type.starts_with(kPrefix) && json.contains("value")) {
      const std::string_view name = std::string_view(type).substr(kPrefix.size());
      if (value == nullptr) return Value::null();  // a google.protobuf.Value that is null
      if (const auto known = well_known(name, *value)) return *known;
    }
    throw Unsupported("the message '" + (type.empty() ? json.dump() : type) + "'");
  }

  std::optional<Value> well_known(std::string_view name, const Json& value) {
    if (name == "BoolValue") return Value::of_bool(boolean(value));
    if (name == "StringValue") return Value::of_string(text(value));
    if (name == "BytesValue") return Value::of_bytes(bytes(value));
    if (name == "DoubleValue" || name == "FloatValue") return Value::of_double(number(value));
    if (name == "Int64Value" || name == "Int32Value") {
      return Value::of_int(integer<std::int64_t>(value));
    }
    if (name == "UInt64Value" || name == "UInt32Value") {
      return Value::of_uint(integer<std::uint64_t>(value));
    }
    if (name == "Timestamp") {
      const auto at = cel::parse_timestamp(text(value));
      if (!at) throw Malformed("expected a timestamp, not " + value.dump());
      return Value::of_timestamp(*at);
    }
    if (name == "Duration") {
      const auto duration = cel::parse_duration(text(value));
      if (!duration) throw Malformed("expected a duration, not " + value.dump());
      return Value::of_duration(*duration);
    }
    if (name == "Struct" || name == "ListValue" || name == "Value") return plain(value);
    if (name == "Any") return object(value);
    return std::nullopt;
  }

  // JSON as google.protobuf.Value has it: every number is a double.
  Value plain(const Json& json) {
    if (json.is_null()) return Value::null();
    if (json.is_boolean()) return Value::of_bool(json.get<bool>());
    if (json.is_number()) return Value::of_double(json.get<double>());
    if (json.is_string()) return Value::of_string(text(json));
    if (json.is_array()) {
      cel::ListBuilder builder(arena_);
      for (const Json& item : json) builder.add(plain(item));
      return builder.finish();
    }
    cel::MapBuilder builder(arena_);
    for (const auto& [key, value] : json.items()) {
      builder.add(Value::of_string(arena_.copy(key)), plain(value));
    }
    return builder.finish();
  }

  cel::Arena& arena_;
};

}  // namespace

cel::Value read_value(const Json& json, cel::Arena& arena) { return ValueReader(arena).read(json); }

}  // namespace penstock::conformance
