// can_encode(): the static half of column_encoder.cc.
#include <format>

#include "compute/encode/column_encoder.h"
#include "compute/encode/refusal.h"

namespace penstock::compute {
namespace {

using cel::TypeKind;

bool is_number(TypeKind kind) {
  return kind == TypeKind::kInt || kind == TypeKind::kUint || kind == TypeKind::kDouble;
}

bool is_map(TypeKind kind) { return kind == TypeKind::kMap || kind == TypeKind::kRecord; }

bool takes_as_text(TextForm form, TypeKind kind) {
  switch (form) {
    case TextForm::plain:
      return kind == TypeKind::kString;
    case TextForm::number:
      return kind == TypeKind::kString || is_number(kind);
    case TextForm::range:
      return kind == TypeKind::kString || is_map(kind);
    case TextForm::multirange:
      return kind == TypeKind::kString || kind == TypeKind::kList;
    case TextForm::document:
      return kind == TypeKind::kString || kind == TypeKind::kList || is_number(kind) ||
             is_map(kind);
  }
  return false;
}

bool takes(const ColumnDescription& column, TypeKind kind) {
  switch (column.type) {
    case ColumnType::boolean:
      return kind == TypeKind::kBool;
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
      // A computed double has a fraction sooner or later.
      return kind == TypeKind::kInt || kind == TypeKind::kUint;
    case ColumnType::float4:
    case ColumnType::float8:
      return is_number(kind);
    case ColumnType::numeric:
      return is_number(kind) || kind == TypeKind::kString;
    case ColumnType::text:
    case ColumnType::bytea:
    case ColumnType::uuid:
      return kind == TypeKind::kString || kind == TypeKind::kBytes;
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return kind == TypeKind::kTimestamp || kind == TypeKind::kString;
    case ColumnType::json:
    case ColumnType::jsonb:
      return kind != TypeKind::kType;
    case ColumnType::time:
      return kind == TypeKind::kTimestamp || kind == TypeKind::kString ||
             kind == TypeKind::kDuration;
    case ColumnType::timetz:
      return kind == TypeKind::kTimestamp || kind == TypeKind::kString;
    case ColumnType::interval:
      return kind == TypeKind::kDuration || kind == TypeKind::kString;
    case ColumnType::inet:
    case ColumnType::cidr:
      return kind == TypeKind::kAbstract || kind == TypeKind::kString;
    case ColumnType::macaddr:
    case ColumnType::macaddr8:
    case ColumnType::bit:
    case ColumnType::varbit:
      return kind == TypeKind::kString;
    case ColumnType::xml:
    case ColumnType::ltree:
      return kind == TypeKind::kString || kind == TypeKind::kBytes;
    case ColumnType::hstore:
      return kind == TypeKind::kMap;
    case ColumnType::composite:
      return is_map(kind);
    case ColumnType::by_text:
      return takes_as_text(column.text_form, kind);
  }
  return false;
}

// The conversion that helps, or nothing.
std::string_view conversion(ColumnType column, TypeKind kind) {
  switch (column) {
    case ColumnType::boolean:
      return kind == TypeKind::kString ? "bool(...)" : is_number(kind) ? "... == 1" : "";
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
      return kind == TypeKind::kDouble || kind == TypeKind::kString || kind == TypeKind::kTimestamp
                 ? "int(...)"
                 : "";
    case ColumnType::float4:
    case ColumnType::float8:
      return kind == TypeKind::kString ? "double(...)" : "";
    case ColumnType::numeric:
      return kind == TypeKind::kTimestamp ? "int(...)" : "";
    case ColumnType::text:
      return kind == TypeKind::kList || kind == TypeKind::kMap ? "json.encode(...)" : "string(...)";
    case ColumnType::uuid:
      return kind == TypeKind::kList || kind == TypeKind::kMap ? "" : "string(...)";
    case ColumnType::bytea:
      return is_number(kind) || kind == TypeKind::kBool ? "string(...)" : "";
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return is_number(kind) ? "time.fromSeconds(...) or time.fromMillis(...), since 1970" : "";
    default:
      return "";
  }
}

}  // namespace

bool can_encode(const ColumnDescription& column, const cel::Type& type, EncodeProblem& problem) {
  const TypeKind kind = type.kind();
  if (kind == TypeKind::kDyn || kind == TypeKind::kError) return true;
  if (kind == TypeKind::kOptional || kind == TypeKind::kNullable) {
    return can_encode(column, type.element(), problem);
  }
  if (kind == TypeKind::kNull) {
    if (!column.not_null) return true;
    return refuse(problem, "not_null", "the expression is null, and the column is NOT NULL");
  }
  const auto mismatch = [&](std::string_view hint) {
    return refuse(problem, "wrong_type",
                  std::format("the expression is of type {}, the column is {}", type.to_string(),
                              column.type_name),
                  hint.empty() ? std::string() : std::format("convert it: {}", hint));
  };
  if (!column.is_array) return takes(column, kind) || mismatch(conversion(column.type, kind));
  if (kind == TypeKind::kString && column.type == ColumnType::by_text) return true;
  if (kind != TypeKind::kList) return mismatch("");
  // Lists in the list are further dimensions.
  cel::Type item = type.element().certain();
  while (item.is(TypeKind::kList) && !takes(column, TypeKind::kList)) {
    item = item.element().certain();
  }
  const TypeKind element = item.kind();
  const bool fits =
      element == TypeKind::kDyn || element == TypeKind::kNull || takes(column, element);
  return fits || mismatch("");
}

}  // namespace penstock::compute
