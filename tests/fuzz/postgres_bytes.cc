#include "fuzz/postgres_bytes.h"

#include <algorithm>

#include "fuzz/bytes.h"

namespace penstock {

std::string_view PostgresReader::take(std::size_t count) {
  if (count > rest_.size()) finding("bytes that end too early", rest_);
  const std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

std::int64_t PostgresReader::number(std::size_t bytes) {
  std::uint64_t number = 0;
  const std::string_view taken = take(bytes);
  const bool negative = (static_cast<unsigned char>(taken[0]) & 0x80U) != 0;
  if (negative) number = UINT64_MAX;
  for (const char c : taken) number = number << 8U | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(number);
}

std::optional<std::string_view> PostgresReader::field() {
  const std::int64_t size = number(4);
  if (size == -1) return std::nullopt;
  if (size < 0) finding("a field of a negative size", std::to_string(size));
  return take(static_cast<std::size_t>(size));
}

PostgresFields split_tuple(std::string_view tuple) {
  PostgresReader reader(tuple);
  PostgresFields fields(static_cast<std::size_t>(reader.number(2)));
  for (auto& field : fields) field = reader.field();
  if (!reader.at_end()) finding("bytes behind the last field", tuple);
  return fields;
}

PostgresArray split_array(std::string_view bytes) {
  PostgresReader reader(bytes);
  const std::int64_t dimensions = reader.number(4);
  const std::int64_t has_null = reader.number(4);
  PostgresArray array{.element_oid = reader.number(4), .sizes = {}, .elements = {}};
  if (dimensions < 0 || dimensions > 6) finding("an array of too many dimensions", bytes);
  std::size_t count = dimensions == 0 ? 0 : 1;
  for (std::int64_t i = 0; i < dimensions; ++i) {
    array.sizes.push_back(static_cast<std::size_t>(reader.number(4)));
    count *= array.sizes.back();
    if (array.sizes.back() == 0) finding("a dimension of nothing", bytes);
    if (reader.number(4) != 1) finding("an array that does not begin at 1", bytes);
    if (count > bytes.size()) finding("an array of more elements than bytes", bytes);
  }
  array.elements.resize(count);
  bool null_seen = false;
  for (auto& element : array.elements) {
    element = reader.field();
    null_seen = null_seen || !element;
  }
  if (!reader.at_end()) finding("bytes behind an array", bytes);
  if (has_null != (null_seen ? 1 : 0)) finding("an array's flag of nulls is wrong", bytes);
  return array;
}

PostgresNumeric read_numeric(std::string_view bytes) {
  PostgresReader reader(bytes);
  const std::int64_t count = reader.number(2);
  const std::int64_t weight = reader.number(2);
  const auto sign = static_cast<std::uint16_t>(reader.number(2));
  PostgresNumeric numeric{
      .text = {}, .scale = reader.number(2), .digits_before = 0, .is_finite = true};
  if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000) {
    numeric.is_finite = false;
    numeric.text = sign == 0xC000 ? "NaN" : sign == 0xD000 ? "Infinity" : "-Infinity";
    return numeric;
  }
  if (sign != 0 && sign != 0x4000) finding("a numeric's sign", bytes);
  if (numeric.scale < 0 || numeric.scale > 16383) finding("a numeric's scale", bytes);
  std::string before;
  std::string behind;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t digits = reader.number(2);
    if (digits < 0 || digits > 9999) finding("a numeric's digits", bytes);
    if (digits == 0 && (i == 0 || i + 1 == count)) finding("a numeric with needless zeros", bytes);
    std::string four = std::to_string(10000 + digits).substr(1);
    if (i == 0 && weight < -1) behind.append(static_cast<std::size_t>(-1 - weight) * 4, '0');
    (i <= weight ? before : behind) += four;
  }
  if (count > 0 && weight >= count)
    before.append(static_cast<std::size_t>(weight - count + 1) * 4, '0');
  if (!reader.at_end()) finding("bytes behind a numeric", bytes);
  before.erase(0, std::min(before.find_first_not_of('0'), before.size()));
  const auto scale = static_cast<std::size_t>(numeric.scale);
  if (behind.size() > scale && behind.find_first_not_of('0', scale) != std::string::npos) {
    finding("a numeric with more digits than its scale", bytes);
  }
  behind.resize(scale, '0');
  numeric.digits_before = static_cast<std::int64_t>(before.size());
  numeric.text = (sign == 0 ? "" : "-") + (before.empty() ? "0" : before) +
                 (behind.empty() ? "" : "." + behind);
  return numeric;
}

}  // namespace penstock
