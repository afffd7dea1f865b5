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

std::string labels_hint(const postgres::Failure& failure, const ColumnDescription& column) {
  if (failure.error.sqlstate != "22P02" || column.labels.empty()) return {};
  std::string hint = "one of: ";
  for (std::size_t i = 0; i < std::min(column.labels.size(), kMostLabels); ++i) {
    hint += (i > 0 ? ", " : "") + column.labels[i];
  }
  return column.labels.size() > kMostLabels ? hint + ", …" : hint;
}

}  // namespace penstock::write
