#include "core/table.h"

#include <algorithm>

namespace penstock {

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += '"';
  }
  return quoted += '"';
}

std::string TableDescription::quoted_name() const {
  return quote_identifier(schema) + "." + quote_identifier(name);
}

int TableDescription::find_column(std::string_view column) const {
  const auto found = std::ranges::find(columns, column, &ColumnDescription::name);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

}  // namespace penstock
