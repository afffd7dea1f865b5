// Conversions between types, type() and dyn().
#include <limits>
#include <string>

#include "cel/json/number.h"
#include "cel/library/library.h"
#include "cel/library/numbers.h"
#include "cel/library/time.h"
#include "cel/library/time_text.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

Value same(EvalContext&, Args args) { return args[0]; }

Value out_of_range(EvalContext& context, std::string_view target, std::string_view shown) {
  return context.fail(ErrorCode::kOutOfRange, {target, " out of range: ", shown});
}

Value malformed(EvalContext& context, std::string_view target, std::string_view text) {
  return context.fail(ErrorCode::kInvalidArgument, {"not a ", target, ": '", text, "'"});
}

std::string shown(double value) {
  std::string text;
  append_double(text, value);
  return text;
}

Value int_of_uint(EvalContext& context, Args args) {
  const std::uint64_t u = args[0].as_uint();
  if (u > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return out_of_range(context, "int", std::to_string(u));
  }
  return Value::of_int(static_cast<std::int64_t>(u));
}

constexpr std::size_t kDigitsPerStep = 16;

// A number of a document says more than the double that it became: what it says is cut off.
Value int_of_double(EvalContext& context, Args args) {
  if (const std::string_view text = text_of_number(args[0]); !text.empty()) {
    if (!context.charge(text.size() / kDigitsPerStep)) return context.out_of_steps();
    const WholeNumber whole = read_whole_number(text).without_fraction();
    return whole.fits_int() ? Value::of_int(whole.as_int())
                            : out_of_range(context, "int", shown(args[0].as_double()));
  }
  const auto i = int_of(args[0].as_double());
  return i ? Value::of_int(*i) : out_of_range(context, "int", shown(args[0].as_double()));
}

Value int_of_string(EvalContext& context, Args args) {
  const auto i = parse_int(args[0].as_string());
  return i ? Value::of_int(*i) : malformed(context, "int", args[0].as_string());
}

Value int_of_timestamp(EvalContext&, Args args) {
  return Value::of_int(args[0].as_timestamp().seconds);
}

Value uint_of_int(EvalContext& context, Args args) {
  const std::int64_t i = args[0].as_int();
  if (i < 0) return out_of_range(context, "uint", std::to_string(i));
  return Value::of_uint(static_cast<std::uint64_t>(i));
}

Value uint_of_double(EvalContext& context, Args args) {
  if (const std::string_view text = text_of_number(args[0]); !text.empty()) {
    if (!context.charge(text.size() / kDigitsPerStep)) return context.out_of_steps();
    const WholeNumber whole = read_whole_number(text).without_fraction();
    return whole.fits_uint() ? Value::of_uint(whole.magnitude)
                             : out_of_range(context, "uint", shown(args[0].as_double()));
  }
  const auto u = uint_of(args[0].as_double());
  return u ? Value::of_uint(*u) : out_of_range(context, "uint", shown(args[0].as_double()));
}

Value uint_of_string(EvalContext& context, Args args) {
  const auto u = parse_uint(args[0].as_string());
  return u ? Value::of_uint(*u) : malformed(context, "uint", args[0].as_string());
}

Value double_of_int(EvalContext&, Args args) {
  return Value::of_double(static_cast<double>(args[0].as_int()));
}

Value double_of_uint(EvalContext&, Args args) {
  return Value::of_double(static_cast<double>(args[0].as_uint()));
}

Value double_of_string(EvalContext& context, Args args) {
  if (!context.charge(args[0].as_string().size() / kDigitsPerStep)) return context.out_of_steps();
  const auto d = parse_double(args[0].as_string());
  return d ? Value::of_double(*d) : malformed(context, "double", args[0].as_string());
}

Value string_of_bool(EvalContext&, Args args) {
  return Value::of_string(args[0].as_bool() ? "true" : "false");
}

Value string_of_int(EvalContext& context, Args args) {
  return context.concat(Kind::kString, {std::to_string(args[0].as_int())});
}

Value string_of_uint(EvalContext& context, Args args) {
  return context.concat(Kind::kString, {std::to_string(args[0].as_uint())});
}

Value string_of_double(EvalContext& context, Args args) {
  return context.concat(Kind::kString, {shown(args[0].as_double())});
}

Value string_of_bytes(EvalContext& context, Args args) {
  const std::string_view bytes = args[0].as_bytes();
  if (!text::is_valid_utf8(bytes)) {
    return context.fail(ErrorCode::kInvalidArgument, {"the bytes are not valid UTF-8"});
  }
  return Value::of_string(bytes);
}

Value string_of_timestamp(EvalContext& context, Args args) {
  std::string text;
  append_timestamp(text, args[0].as_timestamp());
  return context.concat(Kind::kString, {text});
}

Value string_of_duration(EvalContext& context, Args args) {
  std::string text;
  append_duration(text, args[0].as_duration());
  return context.concat(Kind::kString, {text});
}

Value bytes_of_string(EvalContext&, Args args) { return Value::of_bytes(args[0].as_string()); }

Value bool_of_string(EvalContext& context, Args args) {
  const std::string_view text = args[0].as_string();
  for (const std::string_view word : {"true", "True", "TRUE", "t", "T", "1"}) {
    if (text == word) return Value::of_bool(true);
  }
  for (const std::string_view word : {"false", "False", "FALSE", "f", "F", "0"}) {
    if (text == word) return Value::of_bool(false);
  }
  return malformed(context, "bool", text);
}

Value timestamp_of_string(EvalContext& context, Args args) {
  const auto instant = parse_timestamp(args[0].as_string());
  if (instant) return Value::of_timestamp(*instant);
  const std::string_view text = args[0].as_string();
  TimeText other;
  const bool is_other_form = read_time_text(text, other).empty() && other.has_offset;
  if (is_other_form && !is_in_years(other)) {
    return context.fail(ErrorCode::kOutOfRange, {"timestamp out of range: '", text,
                                                 "' is not between the years 1 and 9999 of UTC"});
  }
  return context.fail(ErrorCode::kInvalidArgument,
                      {"not a timestamp as RFC 3339 has it: '", text, "'; ",
                       is_other_form ? "time.parse(…) reads it" : time_text_hint(text)});
}

Value timestamp_of_int(EvalContext& context, Args args) {
  return make_timestamp(context, Instant{args[0].as_int(), 0});
}

Value duration_of_string(EvalContext& context, Args args) {
  const auto duration = parse_duration(args[0].as_string());
  return duration ? Value::of_duration(*duration)
                  : malformed(context, "duration", args[0].as_string());
}

Value type_of(EvalContext&, Args args) { return Value::of_type(to_string(args[0].kind())); }

constexpr FunctionRow kRows[] = {
    {"int(int) -> int", same,
     "A 64-bit integer: a number cut off towards zero, decimal text, or a timestamp's seconds "
     "since "
     "1970.",
     "int('42') == 42"},
    {"int(uint) -> int", int_of_uint, "", ""},
    {"int(double) -> int", int_of_double, "", ""},
    {"int(string) -> int", int_of_string, "", ""},
    {"int(timestamp) -> int", int_of_timestamp, "", ""},
    {"uint(uint) -> uint", same, "An unsigned 64-bit integer.", "uint('42') == 42u"},
    {"uint(int) -> uint", uint_of_int, "", ""},
    {"uint(double) -> uint", uint_of_double, "", ""},
    {"uint(string) -> uint", uint_of_string, "", ""},
    {"double(double) -> double", same, "A floating-point number.", "double('1.5') == 1.5"},
    {"double(int) -> double", double_of_int, "", ""},
    {"double(uint) -> double", double_of_uint, "", ""},
    {"double(string) -> double", double_of_string, "", ""},
    {"string(string) -> string", same, "The value as text; bytes must be valid UTF-8.",
     "string(42) == '42'"},
    {"string(bool) -> string", string_of_bool, "", ""},
    {"string(int) -> string", string_of_int, "", ""},
    {"string(uint) -> string", string_of_uint, "", ""},
    {"string(double) -> string", string_of_double, "", ""},
    {"string(bytes) -> string", string_of_bytes, "", ""},
    {"string(timestamp) -> string", string_of_timestamp, "", ""},
    {"string(duration) -> string", string_of_duration, "", ""},
    {"bytes(bytes) -> bytes", same, "The text's UTF-8 bytes.", "bytes('é') == b'\\xc3\\xa9'"},
    {"bytes(string) -> bytes", bytes_of_string, "", ""},
    {"bool(bool) -> bool", same, "'true', 't' or '1' is true; 'false', 'f' or '0' is false.",
     "bool('true')"},
    {"bool(string) -> bool", bool_of_string, "", ""},
    {"timestamp(timestamp) -> timestamp", same,
     "A moment, from RFC 3339 text or from seconds since 1970.",
     "timestamp('2024-05-06T07:08:09Z') == timestamp(1714979289)"},
    {"timestamp(string) -> timestamp", timestamp_of_string, "", ""},
    {"timestamp(int) -> timestamp", timestamp_of_int, "", ""},
    {"duration(duration) -> duration", same, "A span of time, from text like '1h30m' or '-1.5s'.",
     "duration('1h30m') == duration('5400s')"},
    {"duration(string) -> duration", duration_of_string, "", ""},
    {"type(A) -> type<A>", type_of, "The type of a value, itself a value.", "type(1) == int"},
    {"dyn(A) -> dyn", same, "The same value, but checked at run time only.", "dyn(1) == 1.0"},
};

}  // namespace

std::span<const FunctionRow> conversion_rows() { return kRows; }

}  // namespace penstock::cel
