#include "fuzz/field_check.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "cel/containers.h"
#include "cel/text.h"
#include "fuzz/bytes.h"
#include "fuzz/postgres_bytes.h"
#include "text/hex.h"
#include "text/utf8.h"

namespace penstock {
namespace {

using cel::Value;

std::string as_text(const Value& value) { return cel::to_text(value); }

void check_numeric(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  const PostgresNumeric numeric = read_numeric(bytes);
  const std::string shown = numeric.text + " of " + as_text(value);
  const bool bounded = column.numeric_precision >= 0;
  if (bounded && numeric.is_finite) {
    if (numeric.scale != std::max(column.numeric_scale, 0)) finding("a numeric's scale", shown);
    if (numeric.digits_before > std::max(column.numeric_precision - column.numeric_scale, 0))
      finding("a numeric beyond its precision", shown);
  }
  double wanted = 0;
  if (value.is_int() || value.is_uint()) {
    const std::string exact =
        value.is_int() ? std::to_string(value.as_int()) : std::to_string(value.as_uint());
    if (!bounded && numeric.text != exact) finding("another numeric", shown);
    wanted = std::strtod(exact.c_str(), nullptr);
  } else if (value.is_double()) {
    wanted = value.as_double();
  } else {
    const std::string text(value.as_string());
    char* end = nullptr;
    wanted = std::strtod(text.c_str(), &end);
    if (end != text.data() + text.size()) return;  // white space, "inf", … : PostgreSQL's own
  }
  const double read = std::strtod(numeric.text.c_str(), nullptr);
  if (std::isnan(wanted) || std::isnan(read)) {
    if (std::isnan(wanted) != std::isnan(read)) finding("another numeric", shown);
    return;
  }
  if (std::isinf(read) || std::isinf(wanted)) return;
  const double rounding = bounded ? 0.5 * std::pow(10, -column.numeric_scale) : 0;
  if (std::abs(read - wanted) > rounding + std::abs(wanted) * 1e-15) {
    finding("another numeric", shown);
  }
}

void check_integer(const Value& value, std::int64_t read) {
  const bool same = value.is_int() ? value.as_int() == read
                    : value.is_uint()
                        ? read >= 0 && value.as_uint() == static_cast<std::uint64_t>(read)
                        : value.as_double() == static_cast<double>(read);
  if (!same) finding("another integer: " + std::to_string(read), as_text(value));
}

double real_of(const Value& value) {
  return value.is_double() ? value.as_double()
         : value.is_int()  ? static_cast<double>(value.as_int())
                           : static_cast<double>(value.as_uint());
}

// A text or bytes: a column of the one kind takes the other, too.
std::string_view content_of(const Value& value) {
  return value.is_bytes() ? value.as_bytes() : value.as_string();
}

void check_text(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  if (bytes != content_of(value)) finding("another text", as_text(value));
  if (bytes.contains('\0') || !text::is_valid_utf8(bytes)) finding("no text", as_text(value));
  const std::size_t characters =
      text::count_code_points(bytes.substr(0, bytes.find_last_not_of(' ') + 1));
  if (column.max_length >= 0 && characters > static_cast<std::size_t>(column.max_length)) {
    finding("a text that is too long", as_text(value));
  }
}

void check_uuid(const Value& value, std::string_view bytes) {
  if (value.is_bytes()) {
    if (bytes != value.as_bytes()) finding("another UUID", as_text(value));
    return;
  }
  std::string digits;
  for (const char c : value.as_string()) {
    if (c != '-' && c != '{' && c != '}') digits += static_cast<char>(std::tolower(c));
  }
  std::string read;
  text::append_hex(read, bytes);
  if (bytes.size() != 16 || read != digits) finding("another UUID: " + read, as_text(value));
}

void check_time(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  constexpr std::int64_t kDay = 86'400;
  constexpr std::int64_t kSecond = 1'000'000;
  constexpr std::int64_t kEpoch = 946'684'800;
  const bool is_date = column.type == ColumnType::date;
  const std::int64_t unit = is_date ? 1 : kDay * kSecond;
  const std::int64_t read = PostgresReader(bytes).number(is_date ? 4 : 8);
  if (bytes.size() != (is_date ? 4U : 8U)) finding("a time's size", as_text(value));
  // From 4713 BC to 294276 AD; nothing comes near.
  if (read < -800'000 * unit || read > 3'000'000 * unit) finding("no time", as_text(value));
  if (!value.is_timestamp()) return;
  const cel::Instant at = value.as_timestamp();
  const std::int64_t seconds = at.seconds - kEpoch;
  const std::int64_t wanted = is_date ? (seconds - ((seconds % kDay) + kDay) % kDay) / kDay
                                      : seconds * kSecond + at.nanos / 1000;
  if (read != wanted) finding("another time: " + std::to_string(read), as_text(value));
}

void check_json(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  if (column.type == ColumnType::jsonb) {
    if (!bytes.starts_with('\1')) finding("no version of jsonb", as_text(value));
    bytes.remove_prefix(1);
  }
  if (!nlohmann::json::accept(bytes)) finding("no JSON", bytes);
}

void check_time_of_day(const ColumnDescription& column, const Value& value,
                       std::string_view bytes) {
  constexpr std::int64_t kDay = 86'400'000'000;
  PostgresReader reader(bytes);
  const std::int64_t micros = reader.number(8);
  const std::int64_t west = column.type == ColumnType::timetz ? reader.number(4) : 0;
  if (!reader.at_end()) finding("a time's size", as_text(value));
  if (micros < 0 || micros > kDay || std::abs(west) >= 16 * 3'600)
    finding("no time of day", as_text(value));
  if (!value.is_duration()) return;
  const cel::Instant duration = value.as_duration();
  if (micros != duration.seconds * 1'000'000 + duration.nanos / 1000)
    finding("another time: " + std::to_string(micros), as_text(value));
}

void check_interval(const Value& value, std::string_view bytes) {
  PostgresReader reader(bytes);
  const std::int64_t micros = reader.number(8);
  const std::int64_t days = reader.number(4);
  const std::int64_t months = reader.number(4);
  if (!reader.at_end()) finding("an interval's size", as_text(value));
  if (!value.is_duration()) return;
  const cel::Instant duration = value.as_duration();
  if (days != 0 || months != 0 || micros != duration.seconds * 1'000'000 + duration.nanos / 1000)
    finding("another interval", as_text(value));
}

void check_network(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  PostgresReader reader(bytes);
  const std::int64_t family = reader.number(1);
  const auto bits = static_cast<std::uint8_t>(reader.number(1));
  const std::int64_t is_cidr = reader.number(1);
  const std::int64_t size = reader.number(1);
  if (!((family == 2 && size == 4 && bits <= 32) || (family == 3 && size == 16 && bits <= 128)) ||
      is_cidr != (column.type == ColumnType::cidr ? 1 : 0)) {
    finding("no address", as_text(value));
  }
  const std::string_view octets = reader.take(static_cast<std::size_t>(size));
  if (!reader.at_end()) finding("bytes behind an address", as_text(value));
  for (std::size_t bit = bits; is_cidr != 0 && bit < 8 * octets.size(); ++bit) {
    if ((static_cast<unsigned char>(octets[bit / 8]) << (bit % 8) & 0x80) != 0)
      finding("a cidr with bits behind its length", as_text(value));
  }
}

void check_mac(std::size_t size, const Value& value, std::string_view bytes) {
  std::string digits;
  for (const char c : value.as_string()) {
    if (!std::string_view(":-.").contains(c)) digits += static_cast<char>(std::tolower(c));
  }
  if (size == 8 && digits.size() == 12) digits.insert(6, "fffe");
  std::string read;
  text::append_hex(read, bytes);
  if (bytes.size() != size || read != digits) finding("another address: " + read, as_text(value));
}

void check_bits(const Value& value, std::string_view bytes) {
  PostgresReader reader(bytes);
  const auto count = static_cast<std::size_t>(reader.number(4));
  const std::string_view octets = reader.take((count + 7) / 8);
  std::string read;
  for (std::size_t bit = 0; bit < 8 * octets.size(); ++bit) {
    const bool is_set = (static_cast<unsigned char>(octets[bit / 8]) << (bit % 8) & 0x80) != 0;
    if (bit < count) read += is_set ? '1' : '0';
    if (bit >= count && is_set) finding("bits behind the last one", as_text(value));
  }
  if (!reader.at_end() || read != value.as_string()) finding("other bits", as_text(value));
}

void check_hstore(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  PostgresReader reader(bytes);
  const auto count = static_cast<std::size_t>(reader.number(4));
  if (count != value.as_map().size()) finding("another number of entries", as_text(value));
  for (const cel::MapEntry& entry : value.as_map().entries()) {
    const auto key = reader.field();
    if (!key) finding("a key that is null", as_text(value));
    check_text(column, entry.key, *key);
    const auto field = reader.field();
    if (field.has_value() == entry.value.is_null()) finding("another value", as_text(value));
    if (field) check_text(column, entry.value, *field);
  }
  if (!reader.at_end()) finding("bytes behind the last entry", as_text(value));
}

void check_composite(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  PostgresReader reader(bytes);
  const auto count = static_cast<std::size_t>(reader.number(4));
  if (count != column.attributes.size()) finding("another number of attributes", as_text(value));
  for (const ColumnDescription& attribute : column.attributes) {
    if (reader.number(4) != attribute.declared_oid) finding("another type", as_text(value));
    const Value* const part = value.as_map().find(attribute.name);
    check_field(attribute, part != nullptr ? *part : Value::null(), reader.field());
  }
  if (!reader.at_end()) finding("bytes behind the last attribute", as_text(value));
}

void check_text_input(const Value& value, std::string_view bytes) {
  if (!bytes.ends_with('\0')) finding("a text without its end", as_text(value));
  bytes.remove_suffix(1);
  if (bytes.contains('\0') || !text::is_valid_utf8(bytes)) finding("no text", as_text(value));
  if (value.is_string() && bytes != value.as_string()) finding("another text", as_text(value));
}

void check_scalar(const ColumnDescription& column, const Value& value, std::string_view bytes) {
  const auto integer = [&](std::size_t size) {
    if (bytes.size() != size) finding("a number's size", as_text(value));
    return PostgresReader(bytes).number(size);
  };
  switch (column.type) {
    case ColumnType::boolean:
      if (integer(1) != (value.as_bool() ? 1 : 0)) finding("another bool", as_text(value));
      return;
    case ColumnType::int2:
      return check_integer(value, integer(2));
    case ColumnType::int4:
      return check_integer(value, integer(4));
    case ColumnType::int8:
      return check_integer(value, integer(8));
    case ColumnType::float4: {
      const auto read = std::bit_cast<float>(static_cast<std::int32_t>(integer(4)));
      const double wanted = real_of(value);
      if (std::isnan(read) != std::isnan(wanted) ||
          (!std::isnan(read) && read != static_cast<float>(wanted))) {
        finding("another float4", as_text(value));
      }
      return;
    }
    case ColumnType::float8: {
      const auto read = std::bit_cast<double>(integer(8));
      if (read != real_of(value) && !(std::isnan(read) && std::isnan(real_of(value)))) {
        finding("another float8", as_text(value));
      }
      return;
    }
    case ColumnType::numeric:
      return check_numeric(column, value, bytes);
    case ColumnType::text:
      return check_text(column, value, bytes);
    case ColumnType::bytea:
      if (bytes != content_of(value)) finding("other bytes", as_text(value));
      return;
    case ColumnType::uuid:
      return check_uuid(value, bytes);
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return check_time(column, value, bytes);
    case ColumnType::json:
    case ColumnType::jsonb:
      return check_json(column, value, bytes);
    case ColumnType::time:
    case ColumnType::timetz:
      return check_time_of_day(column, value, bytes);
    case ColumnType::interval:
      return check_interval(value, bytes);
    case ColumnType::inet:
    case ColumnType::cidr:
      return check_network(column, value, bytes);
    case ColumnType::macaddr:
      return check_mac(6, value, bytes);
    case ColumnType::macaddr8:
      return check_mac(8, value, bytes);
    case ColumnType::bit:
    case ColumnType::varbit:
      return check_bits(value, bytes);
    case ColumnType::xml:
      return check_text(column, value, bytes);
    case ColumnType::ltree:
      if (!bytes.starts_with('\1')) finding("no version of ltree", as_text(value));
      return check_text(column, value, bytes.substr(1));
    case ColumnType::hstore:
      return check_hstore(column, value, bytes);
    case ColumnType::composite:
      return check_composite(column, value, bytes);
    case ColumnType::by_text:
      return check_text_input(value, bytes);
  }
}

// A list of the dimension sizes[0], and what is in it; no sizes: an empty array.
void check_elements(const ColumnDescription& column, const Value& value,
                    std::span<const std::size_t> sizes, const PostgresArray& array,
                    std::size_t& next) {
  const cel::List list = value.as_list();
  if (!sizes.empty() && list.size != sizes[0]) finding("another dimension", as_text(value));
  for (const Value& item : list) {
    if (sizes.size() != 1) {
      check_elements(column, item, sizes.empty() ? sizes : sizes.subspan(1), array, next);
      continue;
    }
    const auto& element = array.elements.at(next++);
    if (element.has_value() == item.is_null()) finding("an element that is null", as_text(value));
    if (element) check_scalar(column, item, *element);
  }
}

}  // namespace

void check_field(const ColumnDescription& column, const Value& value,
                 std::optional<std::string_view> bytes) {
  if (!bytes || value.is_null()) {
    if (bytes || !value.is_null() || column.not_null) finding("a null", as_text(value));
    return;
  }
  if (!column.is_array || column.type == ColumnType::by_text) {
    return check_scalar(column, value, *bytes);
  }
  const PostgresArray array = split_array(*bytes);
  if (array.element_oid != column.element_oid) finding("another type of elements", as_text(value));
  std::size_t next = 0;
  check_elements(column, value, array.sizes, array, next);
  if (next != array.elements.size()) finding("another number of elements", as_text(value));
}

}  // namespace penstock
