#include "compute/encode/text_encoder.h"

#include <cstdint>
#include <cstring>
#include <format>
#include <string_view>

#include "cel/text.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"
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

}  // namespace

// CEL's strings are UTF-8 by construction, so that only NUL and the length are left to check.
bool encode_text(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  if (!value.is_string()) return refuse_type(column, value, problem);
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
  if (text.size() > kMaxFieldBytes) return refuse_size(text.size(), problem);
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

bool encode_json(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                 EncodeProblem& problem) {
  out.text.clear();
  if (!cel::append_json(out.text, value)) return refuse_type(column, value, problem);
  if (out.text.size() >= kMaxFieldBytes) return refuse_size(out.text.size(), problem);
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

}  // namespace penstock::compute
