#include "compute/column_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <format>
#include <limits>
#include <new>

#include "cel/text.h"
#include "compute/field_writer.h"
#include "compute/numeric_encoder.h"
#include "compute/time_encoder.h"

namespace penstock::compute {
namespace {

using cel::Kind;
using cel::Value;

// PostgreSQL's limit of a field (MaxAllocSize).
constexpr std::size_t kMaxFieldBytes = 0x3FFF'FFFF;
// Bytes of an identifier, for columns of type `name` (NAMEDATALEN - 1).
constexpr std::size_t kMaxNameBytes = 63;

// What a column takes, for messages.
std::string_view expected(ColumnType type) {
  switch (type) {
    case ColumnType::boolean:
      return "a bool";
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
      return "an int";
    case ColumnType::float4:
    case ColumnType::float8:
      return "a number";
    case ColumnType::numeric:
      return "a number or a string that holds one";
    case ColumnType::text:
      return "a string";
    case ColumnType::bytea:
      return "bytes or a string";
    case ColumnType::uuid:
      return "a string or 16 bytes";
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return "a timestamp or a string that holds one";
    case ColumnType::json:
    case ColumnType::jsonb:
      return "a value that JSON can have";
    case ColumnType::unsupported:
      break;
  }
  return "nothing";
}

// The conversion that makes a value of this kind fit, where CEL has one.
std::string_view conversion_hint(ColumnType type, Kind kind) {
  switch (type) {
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
      return kind == Kind::kString || kind == Kind::kTimestamp ? "int(...)" : "";
    case ColumnType::float4:
    case ColumnType::float8:
      return kind == Kind::kString ? "double(...)" : "";
    case ColumnType::text:
      return kind == Kind::kList || kind == Kind::kMap ? "" : "string(...)";
    case ColumnType::boolean:
      return kind == Kind::kString ? "bool(...)" : "";
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return kind == Kind::kInt || kind == Kind::kUint
                 ? "timestamp(...), which takes seconds since 1970"
                 : "";
    default:
      return "";
  }
}

bool wrong_type(const ColumnDescription& column, const Value& value, EncodeProblem& problem) {
  return refuse(problem, "wrong_type",
                std::format("{} does not go into a column of type {}, which takes {}",
                            cel::to_string(value.kind()), column.type_name, expected(column.type)),
                std::string(conversion_hint(column.type, value.kind())));
}

bool out_of_range(const ColumnDescription& column, EncodeProblem& problem) {
  return refuse(problem, "out_of_range",
                std::format("the number is out of range for type {}", column.type_name));
}

void write_bytes(FieldBuffer& out, std::string_view bytes) {
  char* const at = out.extend(sizeof(std::int32_t) + bytes.size());
  store(at, static_cast<std::int32_t>(bytes.size()));
  if (!bytes.empty()) std::memcpy(at + sizeof(std::int32_t), bytes.data(), bytes.size());
}

bool too_large(std::size_t bytes, EncodeProblem& problem) {
  return refuse(problem, "too_large",
                std::format("{} bytes are more than PostgreSQL takes in one field", bytes));
}

template <typename Integer>
bool encode_integer(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                    EncodeProblem& problem) {
  constexpr Integer kMin = std::numeric_limits<Integer>::min();
  constexpr Integer kMax = std::numeric_limits<Integer>::max();
  std::int64_t number = 0;
  if (value.is_int()) [[likely]] {
    number = value.as_int();
  } else if (value.is_uint()) {
    if (value.as_uint() > static_cast<std::uint64_t>(kMax)) return out_of_range(column, problem);
    number = static_cast<std::int64_t>(value.as_uint());
  } else if (value.is_double()) {
    const double real = value.as_double();
    if (real != std::trunc(real) && !std::isnan(real)) {
      return refuse(problem, "not_integral",
                    std::format("a number with a fraction does not go into a column of type {}",
                                column.type_name),
                    "int(...) cuts it off, math.round(...) rounds");
    }
    // 2^63 is a double, INT64_MAX is not.
    if (!(real >= -0x1p63 && real < 0x1p63)) return out_of_range(column, problem);
    number = static_cast<std::int64_t>(real);
  } else {
    return wrong_type(column, value, problem);
  }
  if (number < kMin || number > kMax) return out_of_range(column, problem);
  write_field(out, static_cast<Integer>(number));
  return true;
}

bool as_real(const Value& value, double& real) {
  if (value.is_double()) {
    real = value.as_double();
  } else if (value.is_int()) {
    real = static_cast<double>(value.as_int());
  } else if (value.is_uint()) {
    real = static_cast<double>(value.as_uint());
  } else {
    return false;
  }
  return true;
}

bool encode_float4(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  double real = 0;
  if (!as_real(value, real)) return wrong_type(column, value, problem);
  // A double beyond the largest float would be undefined to convert; PostgreSQL refuses what
  // becomes infinite or zero. Half a step above the largest float still rounds down to it.
  constexpr double kOverflow = 0x1.ffffffp127;
  if (std::isfinite(real) && std::abs(real) >= kOverflow) return out_of_range(column, problem);
  const auto single = static_cast<float>(real);
  if (single == 0 && real != 0) return out_of_range(column, problem);
  write_field(out, std::bit_cast<std::int32_t>(single));
  return true;
}

bool encode_float8(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  double real = 0;
  if (!as_real(value, real)) return wrong_type(column, value, problem);
  write_field(out, std::bit_cast<std::int64_t>(real));
  return true;
}

bool encode_numeric_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                          EncodeProblem& problem) {
  switch (value.kind()) {
    case Kind::kInt:
      return encode_numeric(column, value.as_int(), out, problem);
    case Kind::kUint:
      return encode_numeric(column, value.as_uint(), out, problem);
    case Kind::kDouble:
      return encode_numeric(column, value.as_double(), out, problem);
    case Kind::kString:
      return encode_numeric(column, value.as_string(), out, problem);
    default:
      return wrong_type(column, value, problem);
  }
}

// Characters of a UTF-8 text; `fitting` is where the first `limit` of them end.
std::size_t count_characters(std::string_view text, std::size_t limit, std::size_t& fitting) {
  std::size_t count = 0;
  fitting = text.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (count++ == limit) fitting = i;
  }
  return count;
}

// CEL's strings are UTF-8 by construction, so that only NUL and the length are left to check.
bool encode_text(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  if (!value.is_string()) return wrong_type(column, value, problem);
  const std::string_view text = value.as_string();
  if (text.contains('\0')) [[unlikely]] {
    return refuse(problem, "nul_in_text",
                  "the string holds a NUL character, which PostgreSQL's text cannot have",
                  "take it out in the expression, or use a bytea column");
  }
  if (column.max_length >= 0 && text.size() > static_cast<std::size_t>(column.max_length)) {
    const auto limit = static_cast<std::size_t>(column.max_length);
    std::size_t fitting = 0;
    const std::size_t characters = count_characters(text, limit, fitting);
    // Spaces beyond the end are cut off by PostgreSQL, as the SQL standard asks.
    if (text.find_first_not_of(' ', fitting) != std::string_view::npos) {
      return refuse(problem, "too_long",
                    std::format("the string has {} characters, {} takes {}", characters,
                                column.type_name, limit));
    }
  } else if (text.size() > kMaxNameBytes && column.type_name == "name") {
    return refuse(
        problem, "too_long",
        std::format("the string has {} bytes, a name takes {}", text.size(), kMaxNameBytes));
  }
  if (text.size() > kMaxFieldBytes) return too_large(text.size(), problem);
  write_bytes(out, text);
  return true;
}

bool encode_bytea(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                  EncodeProblem& problem) {
  if (!value.is_bytes() && !value.is_string()) return wrong_type(column, value, problem);
  const std::string_view bytes = value.is_bytes() ? value.as_bytes() : value.as_string();
  if (bytes.size() > kMaxFieldBytes) return too_large(bytes.size(), problem);
  write_bytes(out, bytes);
  return true;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 32 hexadecimal digits, a hyphen after any group of four, braces around it if one likes: what
// uuid_in() takes.
bool read_uuid(std::string_view text, char* octets) {
  if (text.starts_with('{')) {
    if (!text.ends_with('}')) return false;
    text = text.substr(1, text.size() - 2);
  }
  for (int i = 0; i < 16; ++i) {
    if (text.size() < 2) return false;
    const int high = hex_value(text[0]);
    const int low = hex_value(text[1]);
    if (high < 0 || low < 0) return false;
    octets[i] = static_cast<char>(high << 4 | low);
    text.remove_prefix(2);
    if (i % 2 == 1 && i < 15 && text.starts_with('-')) text.remove_prefix(1);
  }
  return text.empty();
}

bool encode_uuid(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  char octets[16];
  if (value.is_string()) {
    if (!read_uuid(value.as_string(), octets)) {
      return refuse(problem, "invalid_uuid",
                    "not a UUID such as \"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
    }
    write_bytes(out, {octets, sizeof octets});
    return true;
  }
  if (!value.is_bytes()) return wrong_type(column, value, problem);
  if (value.as_bytes().size() != sizeof octets) {
    return refuse(problem, "invalid_uuid",
                  std::format("a UUID has 16 bytes, not {}", value.as_bytes().size()));
  }
  write_bytes(out, value.as_bytes());
  return true;
}

bool encode_date_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                       EncodeProblem& problem) {
  if (value.is_timestamp()) return encode_date(value.as_timestamp(), out, problem);
  if (value.is_string()) return encode_date(value.as_string(), out, problem);
  return wrong_type(column, value, problem);
}

bool encode_timestamp_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                            EncodeProblem& problem) {
  if (value.is_timestamp()) return encode_timestamp(value.as_timestamp(), out, problem);
  if (value.is_string()) {
    return encode_timestamp(value.as_string(), column.type == ColumnType::timestamp, out, problem);
  }
  return wrong_type(column, value, problem);
}

// "\u0000" that is an escape, not the end of "\\u0000".
bool has_nul_escape(std::string_view json) {
  for (std::size_t at = json.find("\\u0000"); at != std::string_view::npos;
       at = json.find("\\u0000", at + 1)) {
    std::size_t backslashes = 1;
    while (backslashes <= at && json[at - backslashes] == '\\') ++backslashes;
    if (backslashes % 2 == 1) return true;
  }
  return false;
}

bool encode_json(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  out.text.clear();
  if (!cel::append_json(out.text, value)) return wrong_type(column, value, problem);
  if (out.text.size() >= kMaxFieldBytes) return too_large(out.text.size(), problem);
  if (column.type == ColumnType::json) {
    write_bytes(out, out.text);
    return true;
  }
  if (has_nul_escape(out.text)) {
    return refuse(problem, "nul_in_text",
                  "a string holds a NUL character, which PostgreSQL's jsonb cannot have",
                  "take it out in the expression, or use a json column");
  }
  // jsonb_recv(): version 1, then the text.
  char* at = store(out.extend(sizeof(std::int32_t) + 1 + out.text.size()),
                   static_cast<std::int32_t>(out.text.size() + 1));
  *at++ = 1;
  std::memcpy(at, out.text.data(), out.text.size());
  return true;
}

bool encode_scalar(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  switch (column.type) {
    case ColumnType::boolean:
      if (!value.is_bool()) return wrong_type(column, value, problem);
      write_field(out, static_cast<std::int8_t>(value.as_bool()));
      return true;
    case ColumnType::int2:
      return encode_integer<std::int16_t>(column, value, out, problem);
    case ColumnType::int4:
      return encode_integer<std::int32_t>(column, value, out, problem);
    case ColumnType::int8:
      return encode_integer<std::int64_t>(column, value, out, problem);
    case ColumnType::float4:
      return encode_float4(column, value, out, problem);
    case ColumnType::float8:
      return encode_float8(column, value, out, problem);
    case ColumnType::numeric:
      return encode_numeric_value(column, value, out, problem);
    case ColumnType::text:
      return encode_text(column, value, out, problem);
    case ColumnType::bytea:
      return encode_bytea(column, value, out, problem);
    case ColumnType::uuid:
      return encode_uuid(column, value, out, problem);
    case ColumnType::date:
      return encode_date_value(column, value, out, problem);
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return encode_timestamp_value(column, value, out, problem);
    case ColumnType::json:
    case ColumnType::jsonb:
      return encode_json(column, value, out, problem);
    case ColumnType::unsupported:
      break;
  }
  return wrong_type(column, value, problem);
}

// array_recv(): dimensions, whether there are NULLs, the elements' type; per dimension its size and
// lower bound; then each element as a field.
bool encode_array(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                  EncodeProblem& problem) {
  if (!value.is_list()) {
    return refuse(problem, "wrong_type",
                  std::format("{} does not go into a column of type {}, which takes a list",
                              cel::to_string(value.kind()), column.type_name));
  }
  const cel::List list = value.as_list();
  const std::size_t begin = out.size();
  const bool empty = list.size == 0;
  char* at = out.extend((empty ? 4 : 6) * sizeof(std::int32_t));
  at = store(at + sizeof(std::int32_t), std::int32_t{empty ? 0 : 1});
  const bool has_null = std::ranges::any_of(list, [](const Value& item) { return item.is_null(); });
  at = store(at, std::int32_t{has_null ? 1 : 0});
  at = store(at, column.element_oid);
  if (!empty) store(store(at, static_cast<std::int32_t>(list.size)), std::int32_t{1});
  for (std::uint32_t i = 0; i < list.size; ++i) {
    if (list[i].is_null()) {
      write_null(out);
    } else if (!encode_scalar(column, list[i], out, problem)) {
      problem.message = std::format("item {} of the list: {}", i, problem.message);
      return false;
    }
  }
  const std::size_t bytes = out.size() - begin - sizeof(std::int32_t);
  if (bytes > kMaxFieldBytes) return too_large(bytes, problem);
  store(out.at(begin), static_cast<std::int32_t>(bytes));
  return true;
}

}  // namespace

FieldBuffer::FieldBuffer() = default;
FieldBuffer::~FieldBuffer() { std::free(data_); }

void FieldBuffer::grow(std::size_t more) {
  constexpr std::size_t kFirstBytes = 1024;
  const std::size_t capacity = std::max({kFirstBytes, size_ + more, capacity_ + capacity_ / 2});
  auto* const data = static_cast<char*>(std::realloc(data_, capacity));
  if (data == nullptr) throw std::bad_alloc();
  data_ = data;
  capacity_ = capacity;
}

bool encode_field(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                  EncodeProblem& problem) {
  if (value.is_null()) {
    if (column.not_null)
      return refuse(problem, "not_null", "null does not go into a NOT NULL column");
    write_null(out);
    return true;
  }
  const std::size_t begin = out.size();
  const bool ok = column.is_array ? encode_array(column, value, out, problem)
                                  : encode_scalar(column, value, out, problem);
  if (!ok) out.truncate(begin);
  return ok;
}

}  // namespace penstock::compute
