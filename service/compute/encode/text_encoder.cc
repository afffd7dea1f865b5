#include "compute/encode/text_encoder.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <format>
#include <string_view>

#include "cel/containers.h"
#include "cel/json/token.h"
#include "cel/text.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/numeric_encoder.h"
#include "compute/encode/refusal.h"
#include "text/hex.h"
#include "text/utf8.h"

namespace penstock::compute {
namespace {

using cel::Value;

// Bytes of an identifier, for columns of type `name` (NAMEDATALEN - 1).
constexpr std::size_t kMaxNameBytes = 63;

void write_bytes(FieldBuffer& out, std::string_view bytes) {
  char* const at = out.extend(sizeof(std::int32_t) + bytes.size());
  store(at, static_cast<std::int32_t>(bytes.size()));
  if (!bytes.empty()) std::memcpy(at + sizeof(std::int32_t), bytes.data(), bytes.size());
}

// As jsonb and ltree want it: version 1, then the text.
void write_versioned(FieldBuffer& out, std::string_view text) {
  char* at = store(out.extend(sizeof(std::int32_t) + 1 + text.size()),
                   static_cast<std::int32_t>(text.size() + 1));
  *at++ = 1;
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
}

// Characters of a UTF-8 text; `fitting` is where the first `limit` of them end.
std::size_t count_characters(std::string_view text, std::size_t limit, std::size_t& fitting) {
  std::size_t count = 0;
  fitting = text.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text::is_continuation(text[i])) continue;
    if (count++ == limit) fitting = i;
  }
  return count;
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
    const int high = text::hex_digit(text[0]);
    const int low = text::hex_digit(text[1]);
    if (high < 0 || low < 0) return false;
    octets[i] = static_cast<char>(high << 4 | low);
    text.remove_prefix(2);
    if (i % 2 == 1 && i < 15 && text.starts_with('-')) text.remove_prefix(1);
  }
  return text.empty();
}

constexpr std::size_t kEscapeBytes = 6;  // "\\u0000"

// The four hexadecimal digits of an escape \uXXXX; -1: there is none at this place.
int code_unit(std::string_view json, std::size_t at) {
  if (at + kEscapeBytes > json.size() || json[at] != '\\' || json[at + 1] != 'u') return -1;
  int unit = 0;
  for (std::size_t i = at + 2; i < at + kEscapeBytes; ++i)
    unit = unit * 16 + text::hex_digit(json[i]);
  return unit;
}

bool is_high_half(int unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_half(int unit) { return unit >= 0xDC00 && unit < 0xE000; }

// jsonb keeps strings as text, which has neither NUL nor half surrogate pairs. `json` is JSON.
bool check_escapes(std::string_view json, EncodeProblem& problem) {
  for (std::size_t at = json.find('\\'); at != std::string_view::npos; at = json.find('\\', at)) {
    const int unit = code_unit(json, at);
    if (unit < 0) {
      at += 2;
      continue;
    }
    if (unit == 0) {
      return refuse(problem, "nul_in_text",
                    "a string holds a NUL character, which PostgreSQL's jsonb cannot have",
                    "take it out in the expression, or use a json column");
    }
    at += kEscapeBytes;
    const bool is_pair = is_high_half(unit) && is_low_half(code_unit(json, at));
    if (is_pair) at += kEscapeBytes;
    if (!is_pair && (is_high_half(unit) || is_low_half(unit))) {
      return refuse(problem, "lone_surrogate",
                    "a string holds half of a surrogate pair, which is not a character",
                    "use a json column, which keeps it");
    }
  }
  return true;
}

// jsonb keeps numbers as numeric. Only very long ones, or some with an exponent, are too large.
bool check_numbers(std::string_view json, EncodeProblem& problem) {
  constexpr std::size_t kLongNumber = 16'000;
  unsigned char exponents = json.size() > kLongNumber ? 1 : 0;
  const char* const text = json.data();
  for (std::size_t i = 1; i < json.size(); ++i) {
    const auto is_e = static_cast<unsigned char>((text[i] | 0x20) == 'e');
    const auto is_behind_digit = static_cast<unsigned char>(cel::is_digit(text[i - 1]));
    exponents |= is_e & is_behind_digit;
  }
  if (exponents == 0) [[likely]]
    return true;
  for (std::size_t at = 0; at < json.size(); ++at) {
    if (json[at] == '"') {
      while (json[++at] != '"') {
        if (json[at] == '\\') ++at;
      }
    } else if (cel::is_digit(json[at])) {
      const std::size_t end = std::min(json.find_first_not_of("0123456789.eE+-", at), json.size());
      const std::string_view number = json.substr(at, end - at);
      if (!fits_numeric(number)) {
        return refuse(problem, "out_of_range",
                      std::format("the number {} has too many digits for jsonb",
                                  number.size() > 40 ? std::string(number.substr(0, 40)) + "…"
                                                     : std::string(number)),
                      "use a json column, which keeps it as it is");
      }
      at = end - 1;
    }
  }
  return true;
}

// The text of a string or of bytes, if the column takes it. CEL's strings are UTF-8 by
// construction, so that of them only NUL and the length are left to check.
bool read_text(const ColumnDescription& column, const Value& value, std::string_view& text,
               EncodeProblem& problem) {
  if (value.is_string()) [[likely]] {
    text = value.as_string();
  } else if (value.is_bytes()) {
    text = value.as_bytes();
    if (!text::is_valid_utf8(text)) {
      return refuse(
          problem, "invalid_utf8", "the bytes are not text in UTF-8",
          "base64.encode(...) makes text of any bytes; a bytea column takes them as they are");
    }
  } else {
    return refuse_type(column, value, problem);
  }
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
  return text.size() < kMaxFieldBytes || refuse_size(text.size(), problem);
}

}  // namespace

bool encode_text(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  std::string_view text;
  if (!read_text(column, value, text, problem)) return false;
  write_bytes(out, text);
  return true;
}

bool encode_bytea(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                  EncodeProblem& problem) {
  if (!value.is_bytes() && !value.is_string()) return refuse_type(column, value, problem);
  const std::string_view bytes = value.is_bytes() ? value.as_bytes() : value.as_string();
  if (bytes.size() > kMaxFieldBytes) return refuse_size(bytes.size(), problem);
  write_bytes(out, bytes);
  return true;
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
  if (!value.is_bytes()) return refuse_type(column, value, problem);
  if (value.as_bytes().size() != sizeof octets) {
    return refuse(problem, "invalid_uuid",
                  std::format("a UUID has 16 bytes, not {}", value.as_bytes().size()));
  }
  write_bytes(out, value.as_bytes());
  return true;
}

namespace {

bool refuse_json(const ColumnDescription& column, const Value& value, cel::JsonText why,
                 EncodeProblem& problem) {
  if (why == cel::JsonText::too_large) {
    return refuse(problem, "too_large",
                  std::format("as JSON it has more than {} bytes, or is nested too deeply",
                              cel::kLongestText));
  }
  if (value.is_double() || value.is_list() || value.is_map()) {
    return refuse(problem, "out_of_range",
                  "it is or holds NaN or an infinite number, which JSON cannot have",
                  "string(...) makes text of it");
  }
  return refuse_type(column, value, problem);
}

}  // namespace

bool encode_json(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  std::string_view text;
  if (value.is_json()) {
    text = value.as_json();
  } else {
    out.text.clear();
    const cel::JsonText written = cel::append_json(out.text, value);
    if (written != cel::JsonText::written) return refuse_json(column, value, written, problem);
    text = out.text;
  }
  if (text.size() >= kMaxFieldBytes) return refuse_size(text.size(), problem);
  if (column.type == ColumnType::json) {
    write_bytes(out, text);
    return true;
  }
  if (!check_escapes(text, problem)) return false;
  if (!value.is_string() && !check_numbers(text, problem)) return false;
  write_versioned(out, text);
  return true;
}

// bit_recv(): how many, then the bits from the highest of each byte on.
bool encode_bits(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  if (!value.is_string()) return refuse_type(column, value, problem);
  const std::string_view bits = value.as_string();
  if (bits.find_first_not_of("01") != std::string_view::npos) {
    return refuse(problem, "invalid_bits", "not bits such as \"0110\"");
  }
  const auto limit = static_cast<std::size_t>(column.max_length);
  const bool is_varying = column.type == ColumnType::varbit;
  if (column.max_length >= 0 && (is_varying ? bits.size() > limit : bits.size() != limit)) {
    return refuse(problem, is_varying ? "too_long" : "wrong_length",
                  std::format("the string has {} bits, {} takes {}{}", bits.size(),
                              column.type_name, is_varying ? "at most " : "", limit));
  }
  const std::size_t bytes = (bits.size() + 7) / 8;
  if (bytes + sizeof(std::int32_t) > kMaxFieldBytes) return refuse_size(bytes, problem);
  char* at = store(out.extend(2 * sizeof(std::int32_t) + bytes),
                   static_cast<std::int32_t>(sizeof(std::int32_t) + bytes));
  at = store(at, static_cast<std::int32_t>(bits.size()));
  std::memset(at, 0, bytes);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] != '1') continue;
    at[i / 8] = static_cast<char>(static_cast<unsigned char>(at[i / 8]) | 0x80U >> (i % 8));
  }
  return true;
}

// xml_recv() takes the text to be in the encoding that it names itself.
bool encode_xml(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                EncodeProblem& problem) {
  std::string_view text;
  if (!read_text(column, value, text, problem)) return false;
  const std::string_view declaration =
      text.starts_with("<?xml") ? text.substr(0, text.find("?>")) : std::string_view();
  if (const std::size_t at = declaration.find("encoding"); at != std::string_view::npos) {
    std::string encoding(declaration.substr(at));
    for (char& c : encoding) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    if (!encoding.contains("utf-8") && !encoding.contains("utf8")) {
      return refuse(problem, "invalid_xml",
                    "the XML declares another encoding than UTF-8, in which the record has it",
                    "take the declaration out in the expression");
    }
  }
  write_bytes(out, text);
  return true;
}

// PostgreSQL checks the labels: which characters they may have depends on its locale.
bool encode_ltree(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                  EncodeProblem& problem) {
  std::string_view text;
  if (!read_text(column, value, text, problem)) return false;
  write_versioned(out, text);
  return true;
}

// hstore_recv(): how many, then key and value of each, as fields.
bool encode_hstore(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  if (!value.is_map()) return refuse_type(column, value, problem);
  const std::size_t begin = out.size();
  char* const at = out.extend(2 * sizeof(std::int32_t));
  store(at + sizeof(std::int32_t), static_cast<std::int32_t>(value.as_map().size()));
  for (const cel::MapEntry& entry : value.as_map().entries()) {
    bool is_written = encode_text(column, entry.key, out, problem);
    if (is_written && entry.value.is_null()) {
      write_null(out);
    } else if (is_written) {
      is_written = encode_text(column, entry.value, out, problem);
    }
    if (!is_written) {
      problem.message = std::format("entry {}: {}", cel::to_text(entry.key), problem.message);
      return false;
    }
  }
  return end_field(out, begin, problem);
}

}  // namespace penstock::compute
