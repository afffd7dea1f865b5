// Encodes values for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "compute/encode/column_encoder.h"
#include "text/hex.h"

namespace penstock::compute {

inline ColumnDescription column_of(ColumnType type, std::string type_name) {
  ColumnDescription column;
  column.name = "c";
  column.type = type;
  column.type_name = std::move(type_name);
  return column;
}

inline ColumnDescription numeric_of(int precision, int scale) {
  ColumnDescription column = column_of(ColumnType::numeric, "numeric(" + std::to_string(precision) +
                                                                "," + std::to_string(scale) + ")");
  column.numeric_precision = precision;
  column.numeric_scale = scale;
  return column;
}

// What became of one value.
struct Encoded {
  bool ok = false;
  std::string bytes;  // the field without its length; "NULL" is in `is_null`
  bool is_null = false;
  EncodeProblem problem;

  template <typename T>
  [[nodiscard]] T number() const {
    T number{};
    if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
    return std::byteswap(number);
  }
  [[nodiscard]] std::string hex() const {
    std::string text;
    text::append_hex(text, bytes);
    return text;
  }
};

inline Encoded encode(const ColumnDescription& column, const cel::Value& value) {
  FieldBuffer buffer;
  *buffer.extend(1) = '#';  // what stands before a field must stay
  Encoded result;
  result.ok = encode_field(column, value, buffer, result.problem);
  const std::string_view all = buffer.view();
  if (!result.ok) {
    if (all != "#") result.problem.message += " AND THE BUFFER CHANGED";
    return result;
  }
  std::int32_t size = 0;
  std::memcpy(&size, all.data() + 1, sizeof size);
  size = std::byteswap(size);
  result.is_null = size == -1;
  result.bytes = all.substr(5);
  if (!result.is_null && result.bytes.size() != static_cast<std::size_t>(size)) result.ok = false;
  return result;
}

}  // namespace penstock::compute
