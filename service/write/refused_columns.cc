#include "write/refused_columns.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "write/script.h"

namespace penstock::write {
namespace {

constexpr std::size_t kMostLabels = 20;

// As PostgreSQL spells a type, with the schema that it is in unless that is pg_catalog.
bool is_of_type(const ColumnDescription& column, const postgres::Failure& failure) {
  std::string name = column.type_name;
  std::erase(name, '"');
  return name == failure.schema + "." + failure.datatype;
}

// The column, or the attribute of its composite type, that is of the enum which is refused; null:
// there is none. Of several the one whose type the message names.
// NOLINTNEXTLINE(misc-no-recursion): as deep as composite types are nested
const ColumnDescription* enum_of(const ColumnDescription& column, std::string_view message) {
  if (!column.labels.empty()) return &column;
  const ColumnDescription* first = nullptr;
  for (const ColumnDescription& attribute : column.attributes) {
    const ColumnDescription* const found = enum_of(attribute, message);
    if (found == nullptr) continue;
    // In the message with its schema or without.
    std::string_view type = found->type_name;
    type = type.substr(0, type.find('['));
    type = type.substr(type.rfind('.') + 1);
    for (const char before : {' ', '.'}) {
      if (message.contains(before + std::string(type) + ":")) return found;
    }
    if (first == nullptr) first = found;
  }
  return first;
}

}  // namespace

std::vector<const ColumnDescription*> refused_columns(const postgres::Failure& failure,
                                                      const Slice& row) {
  const std::vector<ColumnDescription>& table = row.rows->target->table.columns;
  std::vector<const ColumnDescription*> columns;
  if (const auto parameter = postgres::parameter_number(failure)) {
    if (*parameter >= 1 && *parameter <= row.columns->size()) {
      columns.push_back(&table[(*row.columns)[*parameter - 1]]);
    }
  } else if (!failure.datatype.empty() && postgres::inner_context(failure).empty()) {
    std::vector<postgres::Param> fields;
    read_tuple(row.bytes().data(), row, fields);
    const bool is_null = failure.error.sqlstate == "23502";
    for (std::size_t i = 0; i < row.columns->size(); ++i) {
      const ColumnDescription& column = table[(*row.columns)[i]];
      const bool may_be = (fields[i].data == nullptr) == is_null && is_of_type(column, failure);
      if (may_be) columns.push_back(&column);
    }
  }
  return columns;
}

std::string place_of(const Refusal& refusal) {
  std::string place;
  if (!refusal.constraint.empty()) place += ", constraint \"" + refusal.constraint + '"';
  if (!refusal.column.empty()) place += ", column \"" + refusal.column + '"';
  if (!refusal.table.empty()) place += " of table \"" + refusal.table + '"';
  return place;
}

std::string labels_hint(const postgres::Failure& failure, const ColumnDescription& column) {
  if (failure.error.sqlstate != "22P02") return {};
  const ColumnDescription* const found = enum_of(column, failure.error.message);
  if (found == nullptr) return {};
  const std::vector<std::string>& labels = found->labels;
  std::string hint = "one of: ";
  for (std::size_t i = 0; i < std::min(labels.size(), kMostLabels); ++i) {
    hint += (i > 0 ? ", " : "") + labels[i];
  }
  return labels.size() > kMostLabels ? hint + ", …" : hint;
}

}  // namespace penstock::write
