#include "compute/encode/column_encoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <format>
#include <limits>
#include <new>
#include <span>

#include "cel/compare.h"
#include "cel/json/number.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/interval_encoder.h"
#include "compute/encode/network_encoder.h"
#include "compute/encode/numeric_encoder.h"
#include "compute/encode/record_encoder.h"
#include "compute/encode/refusal.h"
#include "compute/encode/text_encoder.h"
#include "compute/encode/text_input.h"
#include "compute/encode/time_encoder.h"

namespace penstock::compute {
namespace {

using cel::Kind;
using cel::Value;

// What the document says of a number; empty: it is none, or it was computed.
std::string_view number_text(const Value& value) {
  if (cel::is_number(value.kind())) return cel::text_of_number(value);
  const bool is_number = value.is_json() && !value.as_json().empty() &&
                         (value.as_json()[0] == '-' || cel::is_digit(value.as_json()[0]));
  return is_number ? value.as_json() : std::string_view();
}

bool refuse_fraction(const ColumnDescription& column, EncodeProblem& problem) {
  return refuse(problem, "not_integral",
                std::format("a number with a fraction does not go into a column of type {}",
                            column.type_name),
                "int(...) cuts it off, math.round(...) rounds");
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
    if (value.as_uint() > static_cast<std::uint64_t>(kMax)) return refuse_range(column, problem);
    number = static_cast<std::int64_t>(value.as_uint());
  } else if (const std::string_view text = number_text(value); !text.empty()) {
    const cel::WholeNumber whole = cel::read_whole_number(text);
    if (whole.verdict == cel::WholeNumber::Verdict::has_fraction) {
      return refuse_fraction(column, problem);
    }
    if (!whole.fits_int()) return refuse_range(column, problem);
    number = whole.as_int();
  } else if (value.is_double()) {
    const double real = value.as_double();
    if (real != std::trunc(real) && !std::isnan(real)) return refuse_fraction(column, problem);
    // 2^63 is a double, INT64_MAX is not.
    if (!(real >= -0x1p63 && real < 0x1p63)) return refuse_range(column, problem);
    // From here on neighbouring doubles are more than 1 apart: which integer was meant is lost.
    if (std::abs(real) >= 0x1p53) {
      return refuse(problem, "out_of_range",
                    "a computed double of 2^53 or more may be rounded, and is no exact integer",
                    "compute with ints, or write int(...) to take it as it is");
    }
    number = static_cast<std::int64_t>(real);
  } else {
    return refuse_type(column, value, problem);
  }
  if (number < kMin || number > kMax) return refuse_range(column, problem);
  write_field(out, static_cast<Integer>(number));
  return true;
}

// False: it is no number, or one that a double cannot be near to.
bool read_double(const ColumnDescription& column, const Value& value, double& real,
                 EncodeProblem& problem) {
  switch (value.kind()) {
    case Kind::kDouble:
      real = value.as_double();
      break;
    case Kind::kInt:
      real = static_cast<double>(value.as_int());
      if (real == 0 && number_text(value).starts_with('-')) real = -0.0;
      break;
    case Kind::kUint:
      real = static_cast<double>(value.as_uint());
      break;
    case Kind::kJson: {
      const std::string_view text = number_text(value);
      if (text.empty()) return refuse_type(column, value, problem);
      real = cel::nearest_double(text);
      if (std::isinf(real)) return refuse_range(column, problem);
      break;
    }
    default:
      return refuse_type(column, value, problem);
  }
  // As PostgreSQL does.
  if (real == 0 && cel::is_not_zero(number_text(value))) return refuse_range(column, problem);
  return true;
}

bool encode_float4(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  double real = 0;
  if (!read_double(column, value, real, problem)) return false;
  // A double beyond the largest float would be undefined to convert; PostgreSQL refuses what
  // becomes infinite or zero. Half a step above the largest float still rounds down to it.
  constexpr double kOverflow = 0x1.ffffffp127;
  if (std::isfinite(real) && std::abs(real) >= kOverflow) return refuse_range(column, problem);
  auto single = static_cast<float>(real);
  // Rounded once, not to a double and then to a float.
  if (const std::string_view text = number_text(value); !text.empty()) {
    std::from_chars(text.data(), text.data() + text.size(), single);
  }
  if (single == 0 && real != 0) return refuse_range(column, problem);
  write_field(out, std::bit_cast<std::int32_t>(single));
  return true;
}

bool encode_float8(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  double real = 0;
  if (value.is_double() && value.as_double() != 0) [[likely]] {
    real = value.as_double();
  } else if (!read_double(column, value, real, problem)) {
    return false;
  }
  write_field(out, std::bit_cast<std::int64_t>(real));
  return true;
}

bool encode_numeric_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                          EncodeProblem& problem) {
  if (const std::string_view text = number_text(value); !text.empty()) {
    return encode_numeric(column, text, out, problem);
  }
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
      return refuse_type(column, value, problem);
  }
}

bool encode_date_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                       EncodeProblem& problem) {
  if (value.is_timestamp()) return encode_date(value.as_timestamp(), out, problem);
  if (value.is_string()) return encode_date(value.as_string(), out, problem);
  return refuse_type(column, value, problem);
}

bool encode_timestamp_value(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                            EncodeProblem& problem) {
  if (value.is_timestamp()) return encode_timestamp(value.as_timestamp(), out, problem);
  if (value.is_string()) {
    return encode_timestamp(value.as_string(), column.type == ColumnType::timestamp, out, problem);
  }
  return refuse_type(column, value, problem);
}

bool encode_scalar(const ColumnDescription& column, const Value& value, FieldBuffer& out,
                   EncodeProblem& problem) {
  switch (column.type) {
    case ColumnType::boolean:
      if (!value.is_bool()) return refuse_type(column, value, problem);
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
    case ColumnType::time:
    case ColumnType::timetz:
      return encode_time_of_day(column, value, out, problem);
    case ColumnType::interval:
      return encode_interval(column, value, out, problem);
    case ColumnType::inet:
    case ColumnType::cidr:
      return encode_inet(column, value, out, problem);
    case ColumnType::macaddr:
    case ColumnType::macaddr8:
      return encode_macaddr(column, value, out, problem);
    case ColumnType::bit:
    case ColumnType::varbit:
      return encode_bits(column, value, out, problem);
    case ColumnType::xml:
      return encode_xml(column, value, out, problem);
    case ColumnType::ltree:
      return encode_ltree(column, value, out, problem);
    case ColumnType::hstore:
      return encode_hstore(column, value, out, problem);
    case ColumnType::composite:
      return encode_composite(column, value, out, problem);
    case ColumnType::by_text:
      return encode_text_input(column, value, out, problem);
  }
  return refuse_type(column, value, problem);
}

// PostgreSQL's MAXDIM.
constexpr std::size_t kMostDimensions = 6;

// Lists in a list are further dimensions, but not where the elements themselves are JSON.
std::size_t dimensions_of(const ColumnDescription& column, const cel::List& list) {
  const bool is_json = column.type == ColumnType::json || column.type == ColumnType::jsonb;
  std::size_t dimensions = 1;
  for (cel::List at = list; !is_json && at.size > 0 && at[0].is_list(); at = at[0].as_list()) {
    ++dimensions;
  }
  return dimensions;
}

// The elements of a list, and of the lists in it if it has further dimensions.
bool encode_elements(const ColumnDescription& column, const cel::List& list,
                     std::span<const std::uint32_t> sizes, FieldBuffer& out,
                     EncodeProblem& problem) {
  for (std::uint32_t i = 0; i < list.size; ++i) {
    const Value& item = list[i];
    bool ok = true;
    if (sizes.size() > 1) {
      if (!item.is_list() || item.as_list().size != sizes[1]) {
        return refuse(problem, "wrong_type",
                      "the lists in the list are not all of one length, as PostgreSQL's arrays of "
                      "several dimensions are");
      }
      ok = encode_elements(column, item.as_list(), sizes.subspan(1), out, problem);
    } else if (item.is_null()) {
      write_null(out);
    } else {
      ok = encode_scalar(column, item, out, problem);
    }
    if (!ok) {
      problem.message = std::format("item {} of the list: {}", i, problem.message);
      return false;
    }
  }
  return true;
}

bool has_null(const cel::List& list, std::size_t dimensions) {
  return std::ranges::any_of(list, [dimensions](const Value& item) {
    return item.is_null() ||
           (dimensions > 1 && item.is_list() && has_null(item.as_list(), dimensions - 1));
  });
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
  const std::size_t dimensions = dimensions_of(column, list);
  if (dimensions > kMostDimensions) {
    return refuse(problem, "wrong_type",
                  std::format("the list has more than {} dimensions", kMostDimensions));
  }
  std::array<std::uint32_t, kMostDimensions> sizes{};
  bool empty = false;
  cel::List at_list = list;
  for (std::size_t i = 0; i < dimensions; ++i) {
    sizes[i] = at_list.size;
    empty = empty || at_list.size == 0;
    if (i + 1 < dimensions) at_list = at_list[0].as_list();
  }
  const std::size_t begin = out.size();
  const std::size_t written = empty ? 0 : dimensions;
  char* at = out.extend((4 + 2 * written) * sizeof(std::int32_t));
  at = store(at + sizeof(std::int32_t), static_cast<std::int32_t>(written));
  at = store(at, std::int32_t{has_null(list, dimensions) ? 1 : 0});
  at = store(at, column.element_oid);
  for (std::size_t i = 0; i < written; ++i) {
    at = store(store(at, static_cast<std::int32_t>(sizes[i])), std::int32_t{1});
  }
  if (!encode_elements(column, list, std::span(sizes).first(dimensions), out, problem))
    return false;
  return end_field(out, begin, problem);
}

// What an expression may say in the place of null.
std::string_view instead_of_null(const ColumnDescription& column) {
  if (column.is_array) return "[]";
  switch (column.type) {
    case ColumnType::boolean:
      return "false";
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
    case ColumnType::float4:
    case ColumnType::float8:
    case ColumnType::numeric:
      return "0";
    case ColumnType::text:
      return "''";
    case ColumnType::bytea:
      return "b''";
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return "record.timestamp";
    case ColumnType::interval:
      return "duration('0s')";
    case ColumnType::json:
    case ColumnType::jsonb:
      return "{}";
    default:
      return "a value of its type";
  }
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
    if (column.not_null) {
      return refuse(problem, "not_null", "null does not go into a NOT NULL column",
                    column.has_default ? "coalesce(..., optional.none()) takes the DEFAULT then"
                                       : "coalesce(..., " + std::string(instead_of_null(column)) +
                                             ") takes something else then");
    }
    write_null(out);
    return true;
  }
  const std::size_t begin = out.size();
  const bool is_array = column.is_array && column.type != ColumnType::by_text;
  const bool ok = is_array ? encode_array(column, value, out, problem)
                           : encode_scalar(column, value, out, problem);
  if (!ok) out.truncate(begin);
  return ok;
}

}  // namespace penstock::compute
