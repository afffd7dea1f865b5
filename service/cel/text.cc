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

// A value may share parts with itself and so be far larger as text than in memory.
constexpr std::size_t kLongestText = std::size_t{64} << 20;
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

bool append_json_at(std::string& out, const Value& value, int depth) {
  if (depth == 0 || out.size() > kLongestText) return false;
  switch (value.kind()) {
    case Kind::kInt:
    case Kind::kUint:
      if (value.number_text() != nullptr) {
        out += text_of_number(value);
      } else {
        out += value.is_int() ? std::to_string(value.as_int()) : std::to_string(value.as_uint());
      }
      return true;
    case Kind::kDouble: {
      if (value.number_text() != nullptr) {
        out += text_of_number(value);
        return true;
      }
      const double d = value.as_double();
      if (!std::isfinite(d)) return false;
      std::array<char, 32> buffer;
      const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), d);
      out.append(buffer.data(), end.ptr);
      return true;
    }
    case Kind::kBytes:
      out += '"';
      text::append_base64(out, value.as_bytes());
      out += '"';
      return true;
    case Kind::kTimestamp:
      out += '"';
      append_timestamp(out, value.as_timestamp());
      out += '"';
      return true;
    case Kind::kDuration:
      out += '"';
      append_duration(out, value.as_duration());
      out += '"';
      return true;
    case Kind::kType:
      text::append_json_string(out, value.as_type());
      return true;
    case Kind::kIp:
    case Kind::kCidr:
      out += '"';
      append_address(out, value);
      out += '"';
      return true;
    case Kind::kOptional:
      if (value.as_optional() != nullptr)
        return append_json_at(out, *value.as_optional(), depth - 1);
      out += "null";
      return true;
    case Kind::kList: {
      out += '[';
      const char* separator = "";
      for (const Value& item : value.as_list()) {
        out += separator;
        separator = ",";
        if (!append_json_at(out, item, depth - 1)) return false;
      }
      out += ']';
      return true;
    }
    case Kind::kMap: {
      out += '{';
      const char* separator = "";
      for (const MapEntry& entry : value.as_map().entries()) {
        out += separator;
        separator = ",";
        if (entry.key.is_string()) {
          text::append_json_string(out, entry.key.as_string());
        } else if (entry.key.is_json()) {
          out += entry.key.as_json();
        } else {
          out += '"';
          if (!append_json_at(out, entry.key, depth - 1)) return false;
          out += '"';
        }
        out += ':';
        if (!append_json_at(out, entry.value, depth - 1)) return false;
      }
      out += '}';
      return true;
    }
    case Kind::kError:
    case Kind::kAbsent:
      return false;
    default:  // null, bool, string and JSON text look the same in both notations
      append_text_at(out, value, depth);
      return true;
  }
}

}  // namespace

void append_text(std::string& out, const Value& value) { append_text_at(out, value, kDeepest); }

std::string to_text(const Value& value) {
  std::string text;
  append_text(text, value);
  return text;
}

bool append_json(std::string& out, const Value& value) {
  return append_json_at(out, value, kDeepest);
}

}  // namespace penstock::cel
