// string.format(): the verbs of printf that make sense for CEL's values.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "cel/containers.h"
#include "cel/library/text_functions.h"
#include "cel/library/time.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

constexpr int kDefaultPrecision = 6;
constexpr int kMaxPrecision = 1000;
constexpr int kDeepest = 100;
// Writing a value, and copying the text around the verbs byte by byte.
constexpr std::uint64_t kStepsPerValue = 8;
constexpr std::size_t kBytesPerStep = 4;
constexpr std::size_t kLongestResult = std::size_t{16} << 20;

struct Formatter {
  EvalContext& context;
  std::string out;
  Value error;

  bool fail(std::initializer_list<std::string_view> parts) {
    error = context.fail(ErrorCode::kInvalidArgument, parts);
    return false;
  }

  bool wrong_kind(char verb, const Value& value) {
    return fail({"format(): %", {&verb, 1}, " does not take ", to_string(value.kind())});
  }

  void add_double(std::string& to, double value, std::chars_format form, int precision) {
    if (std::isnan(value)) {
      to += "NaN";
    } else if (std::isinf(value)) {
      to += value > 0 ? "Infinity" : "-Infinity";
    } else {
      std::array<char, 1500> buffer;  // 309 digits, a point, kMaxPrecision
      const auto end =
          std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, form, precision);
      to.append(buffer.data(), end.ptr);
    }
  }

  // The fewest digits that stand for this number alone, without an exponent.
  void add_shortest(std::string& to, double value) {
    if (!std::isfinite(value)) return add_double(to, value, std::chars_format::fixed, 0);
    std::array<char, 40> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::scientific);
    std::string digits(buffer.data(), end.ptr);
    const std::size_t e = digits.find('e');
    const int exponent = std::atoi(digits.c_str() + e + 1);
    digits.resize(e);
    std::erase(digits, '.');
    if (digits.front() == '-') {
      to += '-';
      digits.erase(0, 1);
    }
    const auto whole = static_cast<std::size_t>(std::max(exponent + 1, 0));
    if (exponent < 0) digits.insert(0, static_cast<std::size_t>(-exponent - 1), '0');
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    to += whole == 0 ? "0" : std::string_view(digits).substr(0, whole);
    if (digits.size() > whole) to += "." + digits.substr(whole);
  }

  // Each run of bytes that are no UTF-8 becomes one replacement character.
  static void add_bytes(std::string& to, std::string_view bytes) {
    bool in_run = false;
    while (!bytes.empty()) {
      const std::size_t valid = text::valid_code_point_bytes(bytes);
      if (valid > 0) {
        to += bytes.substr(0, valid);
      } else if (!in_run) {
        to += text::kReplacementCharacter;
      }
      in_run = valid == 0;
      bytes.remove_prefix(std::max<std::size_t>(valid, 1));
    }
  }

  bool add_text(std::string& to, const Value& value, int depth) {
    if (depth == 0 || to.size() > kLongestResult) return fail({"format(): the result is too long"});
    if (!context.charge(kStepsPerValue + text_steps(value))) {
      error = context.out_of_steps();
      return false;
    }
    switch (value.kind()) {
      case Kind::kNull:
        to += "null";
        return true;
      case Kind::kBool:
        to += value.as_bool() ? "true" : "false";
        return true;
      case Kind::kInt:
        to += std::to_string(value.as_int());
        return true;
      case Kind::kUint:
        to += std::to_string(value.as_uint());
        return true;
      case Kind::kDouble:
        add_shortest(to, value.as_double());
        return true;
      case Kind::kString:
        to += value.as_string();
        return true;
      case Kind::kBytes:
        add_bytes(to, value.as_bytes());
        return true;
      case Kind::kType:
        to += value.as_type();
        return true;
      case Kind::kTimestamp:
        append_timestamp(to, value.as_timestamp());
        return true;
      case Kind::kDuration:
        append_duration(to, value.as_duration());
        return true;
      case Kind::kList:
        return add_list(to, value.as_list(), depth);
      case Kind::kMap:
        return add_map(to, value.as_map(), depth);
      default:
        return wrong_kind('s', value);
    }
  }

  bool add_list(std::string& to, List list, int depth) {
    to += '[';
    const char* separator = "";
    for (const Value& item : list) {
      to += std::exchange(separator, ", ");
      if (!add_text(to, item, depth - 1)) return false;
    }
    to += ']';
    return true;
  }

  // Sorted by the keys' text, so that the result does not depend on the document's order.
  bool add_map(std::string& to, const Map& map, int depth) {
    std::vector<std::pair<std::string, const Value*>> entries;
    for (const MapEntry& entry : map.entries()) {
      if (!add_text(entries.emplace_back(std::string(), &entry.value).first, entry.key,
                    depth - 1)) {
        return false;
      }
    }
    std::ranges::sort(entries, {}, &std::pair<std::string, const Value*>::first);
    to += '{';
    const char* separator = "";
    for (const auto& [key, value] : entries) {
      to += std::exchange(separator, ", ");
      to += key;
      to += ": ";
      if (!add_text(to, *value, depth - 1)) return false;
    }
    to += '}';
    return true;
  }

  void add_integer(const Value& value, int base, bool upper) {
    std::array<char, 70> buffer;
    char* const last = buffer.data() + buffer.size();
    const auto end = value.is_int() ? std::to_chars(buffer.data(), last, value.as_int(), base)
                                    : std::to_chars(buffer.data(), last, value.as_uint(), base);
    for (const char* c = buffer.data(); c != end.ptr; ++c) {
      out += upper && *c >= 'a' ? static_cast<char>(*c - 'a' + 'A') : *c;
    }
  }

  void add_hex(std::string_view bytes, bool upper) {
    const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (const char c : bytes) {
      const auto byte = static_cast<unsigned char>(c);
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }

  bool add(char verb, int precision, const Value& value) {
    if (!context.charge(kStepsPerValue + text_steps(value) * 8 +
                        static_cast<std::uint64_t>(std::max(precision, 0)))) {
      error = context.out_of_steps();
      return false;
    }
    const bool integer = value.is_int() || value.is_uint();
    switch (verb) {
      case 's':
        return add_text(out, value, kDeepest);
      case 'd':
        if (!integer && !value.is_double()) return wrong_kind(verb, value);
        return add_text(out, value, kDeepest);
      case 'f':
      case 'e': {
        if (!integer && !value.is_double()) return wrong_kind(verb, value);
        const double number = value.is_double() ? value.as_double()
                              : value.is_int()  ? static_cast<double>(value.as_int())
                                                : static_cast<double>(value.as_uint());
        add_double(out, number,
                   verb == 'f' ? std::chars_format::fixed : std::chars_format::scientific,
                   precision < 0 ? kDefaultPrecision : precision);
        return true;
      }
      case 'b':
        if (value.is_bool()) {
          out += value.as_bool() ? '1' : '0';
          return true;
        }
        if (!integer) return wrong_kind(verb, value);
        add_integer(value, 2, false);
        return true;
      case 'o':
        if (!integer) return wrong_kind(verb, value);
        add_integer(value, 8, false);
        return true;
      case 'x':
      case 'X':
        if (integer) {
          add_integer(value, 16, verb == 'X');
        } else if (value.is_string() || value.is_bytes()) {
          add_hex(value.is_string() ? value.as_string() : value.as_bytes(), verb == 'X');
        } else {
          return wrong_kind(verb, value);
        }
        return true;
      default:
        return fail({"format(): there is no verb '%", {&verb, 1}, "'"});
    }
  }
};

}  // namespace

Value format(EvalContext& context, std::span<const Value> args) {
  Formatter formatter{context, {}, {}};
  const std::string_view text = args[0].as_string();
  const List values = args[1].as_list();
  if (!context.charge(text.size() / kBytesPerStep)) return context.out_of_steps();
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      formatter.out += text[i];
      continue;
    }
    ++i;
    if (i < text.size() && text[i] == '%') {
      formatter.out += '%';
      continue;
    }
    int precision = -1;
    if (i < text.size() && text[i] == '.') {
      for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
        precision = std::min(std::max(precision, 0) * 10 + (text[i] - '0'), kMaxPrecision);
      }
      if (precision < 0) {
        formatter.fail({"format(): after the point of a precision stand its digits"});
        return formatter.error;
      }
    }
    if (i >= text.size()) {
      formatter.fail({"format(): the text ends within a verb"});
      return formatter.error;
    }
    if (next >= values.size) {
      formatter.fail({"format(): there are fewer values than verbs"});
      return formatter.error;
    }
    if (!formatter.add(text[i], precision, values[next++])) return formatter.error;
  }
  return context.concat(Kind::kString, {formatter.out});
}

}  // namespace penstock::cel
