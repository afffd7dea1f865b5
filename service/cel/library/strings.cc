// String functions. Positions and lengths count code points.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/library/library.h"
#include "cel/library/text_functions.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

constexpr std::size_t kNone = std::string_view::npos;
// Of functions that look at every character.
constexpr std::size_t kBytesPerStep = 8;

// Linear, where string_view::find is quadratic at worst.
std::size_t find_bytes(std::string_view text, std::string_view part, std::size_t from = 0) {
  if (from > text.size()) return kNone;
  if (part.empty()) return from;
  if (part.size() > text.size() - from) return kNone;  // and memmem() takes no null pointer
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? kNone
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::string_view text_of(const Value& value) {
  return value.is_bytes() ? value.as_bytes() : value.as_string();
}

Value contains(EvalContext&, Args args) {
  return Value::of_bool(find_bytes(text_of(args[0]), text_of(args[1])) != kNone);
}

Value starts_with(EvalContext&, Args args) {
  const std::string_view part = args[1].as_string();
  return Value::of_bool(same_text(args[0].as_string().substr(0, part.size()), part));
}

Value ends_with(EvalContext&, Args args) {
  return Value::of_bool(args[0].as_string().ends_with(args[1].as_string()));
}

Value index_error(EvalContext& context, std::int64_t index) {
  return context.fail(ErrorCode::kOutOfRange, {"index out of range: ", std::to_string(index)});
}

// The byte offset of code point `index`, which may be one past the last.
std::optional<std::size_t> offset_of(std::string_view text, std::int64_t index) {
  if (index < 0) return std::nullopt;
  const std::size_t offset = text::code_point_offset(text, static_cast<std::size_t>(index));
  if (offset == kNone) return std::nullopt;
  return offset;
}

Value char_at(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const auto offset = offset_of(text, args[1].as_int());
  if (!offset) return index_error(context, args[1].as_int());
  if (*offset == text.size()) return Value::of_string("");
  return Value::of_string(text.substr(*offset, text::code_point_bytes(text[*offset])));
}

Value position(std::string_view text, std::size_t offset) {
  if (offset == kNone) return Value::of_int(-1);
  return Value::of_int(static_cast<std::int64_t>(text::count_code_points(text.substr(0, offset))));
}

Value index_of(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const std::string_view part = args[1].as_string();
  if (args.size() == 2) return position(text, find_bytes(text, part));
  const auto from = offset_of(text, args[2].as_int());
  if (!from) return index_error(context, args[2].as_int());
  if (part.empty()) return args[2];
  return position(text, find_bytes(text, part, *from));
}

Value last_index_of(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const std::string_view part = args[1].as_string();
  // At worst, nearly all of the part is compared at every position.
  if (!context.charge(text.size() / 8 * (1 + part.size() / 64))) return context.out_of_steps();
  if (args.size() == 2) return position(text, text.rfind(part));
  const auto from = offset_of(text, args[2].as_int());
  if (!from) return index_error(context, args[2].as_int());
  if (part.empty()) return args[2];
  if (*from == text.size()) return Value::of_int(-1);
  return position(text, text.rfind(part, *from));
}

Value substring(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const auto begin = offset_of(text, args[1].as_int());
  if (!begin) return index_error(context, args[1].as_int());
  if (args.size() == 2) return Value::of_string(text.substr(*begin));
  const auto end = offset_of(text, args[2].as_int());
  if (!end) return index_error(context, args[2].as_int());
  if (*end < *begin) {
    return context.fail(ErrorCode::kOutOfRange,
                        {"substring ends before it begins: ", std::to_string(args[1].as_int()),
                         ", ", std::to_string(args[2].as_int())});
  }
  return Value::of_string(text.substr(*begin, *end - *begin));
}

template <char kFirst, char kLast>
Value shift_ascii(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const auto in_range = [](char c) { return c >= kFirst && c <= kLast; };
  if (std::ranges::none_of(text, in_range)) return args[0];
  auto* out = static_cast<char*>(context.arena.allocate(text.size(), 1));
  if (out == nullptr) return context.out_of_memory();
  std::ranges::transform(text, out,
                         [&](char c) { return in_range(c) ? static_cast<char>(c ^ 0x20) : c; });
  return Value::of_string({out, text.size()});
}

Value trim(EvalContext& context, Args args) {
  std::string_view text = args[0].as_string();
  if (!context.charge(text.size() / kBytesPerStep)) return context.out_of_steps();
  while (!text.empty() && is_space(text::decode_utf8(text))) {
    text.remove_prefix(text::code_point_bytes(text[0]));
  }
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && text::is_continuation(text[last])) --last;
    if (!is_space(text::decode_utf8(text.substr(last)))) break;
    text.remove_suffix(text.size() - last);
  }
  return Value::of_string(text);
}

Value reverse(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  auto* out = static_cast<char*>(context.arena.allocate(text.size(), 1));
  if (out == nullptr) return context.out_of_memory();
  char* end = out + text.size();
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t bytes = text::code_point_bytes(text[i]);
    end -= bytes;
    std::memcpy(end, text.data() + i, bytes);
    i += bytes;
  }
  return Value::of_string({out, text.size()});
}

Value replace(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const std::string_view old = args[1].as_string();
  const std::string_view by = args[2].as_string();
  const std::int64_t most = args.size() == 4 ? args[3].as_int() : -1;
  TextBuilder out(context);
  std::size_t done = 0;
  std::size_t from = 0;
  for (std::int64_t count = 0; count != most; ++count) {
    if (!context.charge(1)) return context.out_of_steps();
    const std::size_t found = find_bytes(text, old, from);
    if (found == kNone) break;
    out.add(text.substr(done, found - done));
    out.add(by);
    done = found + old.size();
    // An empty text matches before every code point and at the end.
    from = old.empty() ? found + (found < text.size() ? text::code_point_bytes(text[found]) : 1)
                       : done;
  }
  out.add(text.substr(std::min(done, text.size())));
  return out.finish();
}

Value split(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  const std::string_view separator = args[1].as_string();
  const std::int64_t limit = args.size() == 3 ? args[2].as_int() : -1;
  ListBuilder parts(context.arena);
  if (limit == 0) return parts.finish();
  std::size_t begin = 0;
  while (limit < 0 || std::int64_t{parts.size()} + 1 < limit) {
    if (!context.charge(1)) return context.out_of_steps();
    std::size_t end = kNone;
    if (!separator.empty()) {
      end = find_bytes(text, separator, begin);
    } else if (begin < text.size()) {
      end = begin + text::code_point_bytes(text[begin]);
      if (end == text.size()) end = kNone;
    }
    if (end == kNone) break;
    parts.add(Value::of_string(text.substr(begin, end - begin)));
    begin = end + separator.size();
  }
  if (!separator.empty() || !text.empty()) parts.add(Value::of_string(text.substr(begin)));
  return parts.finish();
}

Value join(EvalContext& context, Args args) {
  const std::string_view separator = args.size() == 2 ? args[1].as_string() : std::string_view();
  if (!context.charge(args[0].as_list().size)) return context.out_of_steps();
  TextBuilder out(context);
  bool first = true;
  for (const Value& item : args[0].as_list()) {
    if (!item.is_string()) {
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: join() of a list with a ", to_string(item.kind())});
    }
    if (!first) out.add(separator);
    first = false;
    out.add(item.as_string());
  }
  return out.finish();
}

constexpr FunctionRow kRows[] = {
    {"string.contains(string) -> bool", contains, "Whether the text has the part anywhere.",
     "'order-7'.contains('er-')"},
    {"string.startsWith(string) -> bool", starts_with, "Whether the text begins so.",
     "'order-7'.startsWith('order')"},
    {"string.endsWith(string) -> bool", ends_with, "Whether the text ends so.",
     "'order-7'.endsWith('-7')"},
    {"string.matches(string) -> bool", matches_dynamic,
     "Whether a regular expression (RE2) matches some part of the text.",
     "'order-7'.matches('^[a-z]+-[0-9]+$')"},
    {"matches(string, string) -> bool", matches_dynamic, "", ""},
    {"string.charAt(int) -> string", char_at, "The character at a position; empty at the end.",
     "'héllo'.charAt(1) == 'é'"},
    {"string.indexOf(string) -> int", index_of,
     "Where the part first stands, from a position in the text on; -1 if nowhere.",
     "'banana'.indexOf('an') == 1"},
    {"string.indexOf(string, int) -> int", index_of, "", ""},
    {"string.lastIndexOf(string) -> int", last_index_of,
     "Where the part last stands, up to a position in the text; -1 if nowhere.",
     "'banana'.lastIndexOf('an') == 3"},
    {"string.lastIndexOf(string, int) -> int", last_index_of, "", ""},
    {"string.substring(int) -> string", substring, "The text from a position, up to another one.",
     "'hello'.substring(1, 3) == 'el'"},
    {"string.substring(int, int) -> string", substring, "", ""},
    {"string.lowerAscii() -> string", shift_ascii<'A', 'Z'>, "With A to Z in lower case.",
     "'ABC'.lowerAscii() == 'abc'"},
    {"string.upperAscii() -> string", shift_ascii<'a', 'z'>, "With a to z in upper case.",
     "'abc'.upperAscii() == 'ABC'"},
    {"string.trim() -> string", trim, "Without white space at both ends.",
     "' a b '.trim() == 'a b'"},
    {"string.reverse() -> string", reverse, "With its characters in reverse.",
     "'abc'.reverse() == 'cba'"},
    {"string.replace(string, string) -> string", replace,
     "With one text replaced by another, everywhere or the first n times.",
     "'a-b-c'.replace('-', '+', 1) == 'a+b-c'"},
    {"string.replace(string, string, int) -> string", replace, "", ""},
    {"string.split(string) -> list<string>", split,
     "The parts between a separator; at most n of them.", "'a,b,c'.split(',') == ['a', 'b', 'c']"},
    {"string.split(string, int) -> list<string>", split, "", ""},
    {"list<string>.join() -> string", join, "The texts of a list in one, with a separator between.",
     "['a', 'b'].join('-') == 'a-b'"},
    {"list<string>.join(string) -> string", join, "", ""},
    {"string.format(list<dyn>) -> string", format,
     "The text with %s, %d, %f, %e, %b, %o, %x, %X replaced by the list's elements.",
     "'%s has %d'.format(['a', 3]) == 'a has 3'"},
    {"strings.quote(string) -> string", quote,
     "The text in double quotes, escaped as in an expression.",
     "strings.quote('a\"b') == '\"a\\\\\"b\"'"},
};

}  // namespace

std::span<const FunctionRow> string_rows() { return kRows; }

}  // namespace penstock::cel
