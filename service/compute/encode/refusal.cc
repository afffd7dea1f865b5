#include "compute/encode/refusal.h"

#include <format>
#include <utility>

#include "cel/compare.h"

namespace penstock::compute {
namespace {

using cel::Kind;
using cel::Value;

std::string_view expected(TextForm form) {
  switch (form) {
    case TextForm::plain:
      return "a string in PostgreSQL's form";
    case TextForm::number:
      return "a string or a number";
    case TextForm::range:
      return "a string such as \"[1,5)\", or a map of lower, upper and bounds";
    case TextForm::multirange:
      return "a string such as \"{[1,5)}\", or a list of ranges";
    case TextForm::document:
      return "a string, a number, a list or a map";
  }
  return "nothing";
}

// What a column takes, for messages.
std::string_view expected(const ColumnDescription& column) {
  switch (column.type) {
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
    case ColumnType::time:
      return "a string that holds a time of day, a duration or a timestamp";
    case ColumnType::timetz:
      return "a string that holds a time of day with an offset, or a timestamp";
    case ColumnType::interval:
      return "a duration or a string that holds a span of time";
    case ColumnType::inet:
    case ColumnType::cidr:
      return "an address, or a string that holds one";
    case ColumnType::macaddr:
    case ColumnType::macaddr8:
      return "a string that holds an address";
    case ColumnType::bit:
    case ColumnType::varbit:
      return "a string of 0 and 1";
    case ColumnType::xml:
    case ColumnType::ltree:
      return "a string";
    case ColumnType::hstore:
      return "a map of strings";
    case ColumnType::composite:
      return "a map of its attributes";
    case ColumnType::by_text:
      return expected(column.text_form);
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
      return kind == Kind::kList || kind == Kind::kMap || kind == Kind::kJson ? "json.encode(...)"
                                                                              : "string(...)";
    case ColumnType::hstore:
      return kind == Kind::kMap ? "" : "transformMap(k, v, string(v)) makes strings of the values";
    case ColumnType::boolean:
      return kind == Kind::kString ? "bool(...)" : cel::is_number(kind) ? "... == 1" : "";
    case ColumnType::interval:
      return kind == Kind::kInt ? "duration(string(...) + \"s\")" : "";
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return kind == Kind::kInt || kind == Kind::kUint || kind == Kind::kDouble
                 ? "time.fromSeconds(...) or time.fromMillis(...), since 1970"
                 : "";
    default:
      return "";
  }
}

// What messages call it.
std::string_view kind_name(const Value& value) {
  if (!value.is_json()) return cel::to_string(value.kind());
  return value.as_json().find_first_of(".eE") == std::string_view::npos
             ? "a number beyond 64 bits"
             : "a number larger than any double";
}

}  // namespace

bool refuse(EncodeProblem& problem, std::string_view reason, std::string message,
            std::string hint) {
  problem.reason = reason;
  problem.message = std::move(message);
  problem.hint = std::move(hint);
  return false;
}

bool refuse_type(const ColumnDescription& column, const Value& value, EncodeProblem& problem) {
  if (value.is_json() && value.as_json().starts_with('"')) {
    return refuse(problem, "lone_surrogate",
                  "the string holds half of a surrogate pair, which is not a character",
                  "a json column takes it, as part of a document");
  }
  return refuse(problem, "wrong_type",
                std::format("{} does not go into a column of type {}, which takes {}",
                            kind_name(value), column.type_name, expected(column)),
                std::string(conversion_hint(column.type, value.kind())));
}

bool refuse_range(const ColumnDescription& column, EncodeProblem& problem) {
  return refuse(problem, "out_of_range",
                std::format("the number is out of range for type {}", column.type_name));
}

bool refuse_size(std::size_t bytes, EncodeProblem& problem) {
  return refuse(problem, "too_large",
                std::format("{} bytes are more than PostgreSQL takes in one field", bytes));
}

}  // namespace penstock::compute
