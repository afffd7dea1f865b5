#include "cel/text.h"

#include <array>
#include <charconv>
#include <cmath>

#include "cel/containers.h"
#include "cel/eval_error.h"
#include "cel/json/number.h"
#include "cel/library/addresses.h"
#include "cel/library/numbers.h"
#include "cel/library/time.h"
#include "text/base64.h"
#include "text/json_string.h"

namespace penstock::cel {
namespace {

constexpr int kDeepest = 2000;
constexpr std::string_view kHex = "0123456789abcdef";

void append_bytes_literal(std::string& out, std::string_view bytes) {
  out += "b\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
      case '\\':
        out += '\\';
        out += c;
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (byte >= 0x20 && byte < 0x7F) {
          out += c;
        } else {
          out += "\\x";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        }
    }
  }
  out += '"';
}

void append_double_literal(std::string& out, double value) {
  if (std::isnan(value) || std::isinf(value)) {
    out += "double(\"";
    append_double(out, value);
    out += "\")";
    return;
  }
  const std::size_t start = out.size();
  append_double(out, value);
  if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
}

void append_text_at(std::string& out, const Value& value, int depth) {
  if (depth == 0 || out.size() > kLongestText) {
    out += "…";
    return;
  }
  switch (value.kind()) {
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBool:
      out += value.as_bool() ? "true" : "false";
      return;
    case Kind::kInt:
      out += std::to_string(value.as_int());
      return;
    case Kind::kUint:
      out += std::to_string(value.as_uint()) + "u";
      return;
    case Kind::kDouble:
      return append_double_literal(out, value.as_double());
    case Kind::kString:
      return text::append_json_string(out, value.as_string());
    case Kind::kBytes:
      return append_bytes_literal(out, value.as_bytes());
    case Kind::kList: {
      out += '[';
      const char* separator = "";
      for (const Value& item : value.as_list()) {
        out += separator;
        separator = ", ";
        append_text_at(out, item, depth - 1);
        if (out.size() > kLongestText) return;
      }
      out += ']';
      return;
    }
    case Kind::kMap: {
      out += '{';
      const char* separator = "";
      for (const MapEntry& entry : value.as_map().entries()) {
        out += separator;
        separator = ", ";
        append_text_at(out, entry.key, depth - 1);
        out += ": ";
        append_text_at(out, entry.value, depth - 1);
        if (out.size() > kLongestText) return;
      }
      out += '}';
      return;
    }
    case Kind::kTimestamp:
      out += "timestamp(\"";
      append_timestamp(out, value.as_timestamp());
      out += "\")";
      return;
    case Kind::kDuration:
      out += "duration(\"";
      append_duration(out, value.as_duration());
      out += "\")";
      return;
    case Kind::kType:
      out += value.as_type();
      return;
    case Kind::kOptional:
      if (value.as_optional() == nullptr) {
        out += "optional.none()";
        return;
      }
      out += "optional.of(";
      append_text_at(out, *value.as_optional(), depth - 1);
      out += ')';
      return;
    case Kind::kIp:
    case Kind::kCidr:
      out += value.is_cidr() ? "cidr(\"" : "ip(\"";
      append_address(out, value);
      out += "\")";
      return;
    case Kind::kJson:
      out += value.as_json();
      return;
    case Kind::kError:
      out += "error(" + describe(value.as_error()) + ")";
      return;
    case Kind::kAbsent:
      out += "absent";
      return;
  }
}

// Writes JSON until something is in the way.
class JsonWriter {
 public:
  JsonWriter(std::string& out, std::size_t most_bytes) : out_(out), most_bytes_(most_bytes) {}

  JsonText write(const Value& value, int depth) {
    if (depth == 0 || out_.size() > most_bytes_) return JsonText::too_large;
    switch (value.kind()) {
      case Kind::kInt:
      case Kind::kUint:
      case Kind::kDouble:
        return write_number(value);
      case Kind::kBytes:
        return in_quotes([&] { text::append_base64(out_, value.as_bytes()); });
      case Kind::kTimestamp:
        return in_quotes([&] { append_timestamp(out_, value.as_timestamp()); });
      case Kind::kDuration:
        return in_quotes([&] { append_duration(out_, value.as_duration()); });
      case Kind::kIp:
      case Kind::kCidr:
        return in_quotes([&] { append_address(out_, value); });
      case Kind::kType:
        text::append_json_string(out_, value.as_type());
        return JsonText::written;
      case Kind::kOptional:
        return write(value.as_optional() != nullptr ? *value.as_optional() : Value::null(),
                     depth - 1);
      case Kind::kList:
        return write_list(value.as_list(), depth);
      case Kind::kMap:
        return write_map(value.as_map(), depth);
      case Kind::kNull:
        out_ += "null";
        return JsonText::written;
      case Kind::kBool:
        out_ += value.as_bool() ? "true" : "false";
        return JsonText::written;
      case Kind::kString:
        text::append_json_string(out_, value.as_string());
        return JsonText::written;
      case Kind::kJson:
        out_ += value.as_json();
        return JsonText::written;
      case Kind::kError:
      case Kind::kAbsent:
        return JsonText::no_json;
    }
    return JsonText::no_json;
  }

 private:
  template <typename Append>
  JsonText in_quotes(Append append) {
    out_ += '"';
    append();
    out_ += '"';
    return JsonText::written;
  }

  JsonText write_number(const Value& value) {
    if (value.number_text() != nullptr) {
      out_ += text_of_number(value);
    } else if (!value.is_double()) {
      out_ += value.is_int() ? std::to_string(value.as_int()) : std::to_string(value.as_uint());
    } else if (!std::isfinite(value.as_double())) {
      return JsonText::no_json;
    } else {
      std::array<char, 32> buffer;
      const auto end =
          std::to_chars(buffer.data(), buffer.data() + buffer.size(), value.as_double());
      out_.append(buffer.data(), end.ptr);
    }
    return JsonText::written;
  }

  JsonText write_list(const List& list, int depth) {
    out_ += '[';
    const char* separator = "";
    for (const Value& item : list) {
      out_ += separator;
      separator = ",";
      if (const JsonText done = write(item, depth - 1); done != JsonText::written) return done;
    }
    out_ += ']';
    return JsonText::written;
  }

  JsonText write_map(const Map& map, int depth) {
    out_ += '{';
    const char* separator = "";
    for (const MapEntry& entry : map.entries()) {
      out_ += separator;
      separator = ",";
      const bool is_text = entry.key.is_string() || entry.key.is_json();
      if (!is_text) out_ += '"';  // a number or bool
      if (const JsonText done = write(entry.key, depth - 1); done != JsonText::written) return done;
      if (!is_text) out_ += '"';
      out_ += ':';
      if (const JsonText done = write(entry.value, depth - 1); done != JsonText::written) {
        return done;
      }
    }
    out_ += '}';
    return JsonText::written;
  }

  std::string& out_;
  const std::size_t most_bytes_;
};

}  // namespace

void append_text(std::string& out, const Value& value) { append_text_at(out, value, kDeepest); }

std::string to_text(const Value& value) {
  std::string text;
  append_text(text, value);
  return text;
}

JsonText append_json(std::string& out, const Value& value, std::size_t most_bytes) {
  return JsonWriter(out, most_bytes).write(value, kDeepest);
}

}  // namespace penstock::cel
