#include "write/keyed_sql.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace penstock::write {
namespace {

// Joins what `piece` says of each column.
template <typename Piece>
std::string joined(ColumnList columns, const char* separator, Piece piece) {
  std::string text;
  for (const std::uint16_t column : columns) {
    if (!text.empty()) text += separator;
    text += piece(column);
  }
  return text;
}

std::string name_of(const TableDescription& table, std::uint16_t column) {
  return quote_identifier(table.columns[column].name);
}

std::string row_of(const TableDescription& table, ColumnList columns, const char* relation) {
  return "ROW(" +
         joined(columns, ", ",
                [&](std::uint16_t column) { return relation + ("." + name_of(table, column)); }) +
         ")::pg_catalog.record";
}

std::vector<std::uint16_t> beside_the_key(const Target& target, ColumnList columns) {
  std::vector<std::uint16_t> others;
  for (const std::uint16_t column : columns) {
    if (!target.is_key(column)) others.push_back(column);
  }
  return others;
}

// Whether a version is newer than the one that is there: not an equal one, and NULL is older than
// any.
std::string is_newer(const Target& target, const std::string& version) {
  const std::string there = "target." + name_of(target.table, *target.newer_by);
  return "(" + version + " > " + there + " OR " + there + " IS NULL AND " + version +
         " IS NOT NULL)";
}

// What a column becomes when `value` comes to it.
std::string merged(const Target& target, std::uint16_t column, const std::string& value) {
  const auto merge = target.merges.find(column);
  if (merge == target.merges.end()) return value;
  std::string there = "target." + name_of(target.table, column);
  const auto either = [&](const char* both) {
    return "coalesce(" + there + both + value + ", " + there + ", " + value + ")";
  };
  switch (merge->second) {
    case ColumnMerge::overwrite:
      return value;
    case ColumnMerge::keep:
      return there;
    case ColumnMerge::fill_null:
      return "coalesce(" + there + ", " + value + ")";
    case ColumnMerge::sum:
      return either(" + ");
    case ColumnMerge::greatest:
      return "greatest(" + there + ", " + value + ")";
    case ColumnMerge::least:
      return "least(" + there + ", " + value + ")";
    case ColumnMerge::concat:
      return either(" || ");
  }
  return value;
}

// "a = …, b = …" of those that may change; `value(column)` is what comes. Key columns never do: an
// UPDATE that leaves every index alone stays within its page (HOT).
template <typename Value>
std::string assignments(const Target& target, ColumnList columns, Value value) {
  std::string text;
  for (const std::uint16_t column : columns) {
    const auto merge = target.merges.find(column);
    const bool is_kept = merge != target.merges.end() && merge->second == ColumnMerge::keep;
    if (target.is_key(column) || is_kept) continue;
    text += (text.empty() ? "" : ", ") + name_of(target.table, column) + " = " +
            merged(target, column, value(column));
  }
  return text;
}

std::string on_conflict(const Target& target, ColumnList columns) {
  const TableDescription& table = target.table;
  std::string sql = " ON CONFLICT (" + column_list(table, target.key) + ") DO ";
  const auto comes = [&](std::uint16_t column) { return "excluded." + name_of(table, column); };
  const std::string set = assignments(target, columns, comes);
  if (target.mode == WriteMode::ignore || set.empty()) return sql + "NOTHING";
  sql += "UPDATE SET " + set;
  if (target.newer_by) return sql + " WHERE " + is_newer(target, comes(*target.newer_by));
  if (!target.merges.empty()) return sql;
  const std::vector<std::uint16_t> others = beside_the_key(target, columns);
  return sql + " WHERE " + row_of(table, others, "target") + " OPERATOR(pg_catalog.*<>) " +
         row_of(table, others, "excluded");
}

std::string same_key(const Target& target, const std::string& one, const std::string& other) {
  return joined(target.key, " AND ", [&](std::uint16_t column) {
    const std::string name = "." + name_of(target.table, column);
    return one + name + " = " + other + name;
  });
}

// Where no column could change.
std::string nothing(const Target& target) {
  return "UPDATE " + target.table.quoted_name() + " AS target SET " +
         name_of(target.table, target.key.front()) + " = NULL WHERE false";
}

// Whether a staged row leaves the one that is there as it is.
std::string stays(const Target& target, ColumnList columns) {
  const std::vector<std::uint16_t> others = beside_the_key(target, columns);
  if (target.mode == WriteMode::ignore || others.empty()) return "true";
  if (target.newer_by) {
    return "NOT " + is_newer(target, "staged." + name_of(target.table, *target.newer_by));
  }
  return row_of(target.table, others, "target") + " OPERATOR(pg_catalog.*=) " +
         row_of(target.table, others, "staged");
}

// Whether a staged row changes the one that is there.
std::string changes(const Target& target, ColumnList columns) {
  if (target.newer_by) {
    return is_newer(target, "staged." + name_of(target.table, *target.newer_by));
  }
  return "(" + stays(target, columns) + ") IS NOT TRUE";
}

// Updates what the staged rows have the key of.
std::string update_sql(const Target& target, ColumnList columns, const std::string& rows) {
  const TableDescription& table = target.table;
  const std::string set = assignments(
      target, columns, [&](std::uint16_t column) { return "staged." + name_of(table, column); });
  if (set.empty()) return nothing(target);
  return "UPDATE " + table.quoted_name() + " AS target SET " + set + " FROM (" + rows +
         ") AS staged WHERE " + same_key(target, "target", "staged") + " AND " +
         changes(target, columns);
}

// Updates what the staged rows have the key of, and inserts the others.
std::string merge_into(const Target& target, ColumnList columns, const std::string& rows) {
  const TableDescription& table = target.table;
  const auto comes = [&](std::uint16_t column) { return "staged." + name_of(table, column); };
  std::string sql = "MERGE INTO " + table.quoted_name() + " AS target USING (" + rows +
                    ") AS staged ON " + same_key(target, "target", "staged");
  const std::string set = assignments(target, columns, comes);
  if (!set.empty()) {
    sql += " WHEN MATCHED AND " + changes(target, columns) + " THEN UPDATE SET " + set;
  }
  return sql + " WHEN NOT MATCHED THEN INSERT (" + column_list(table, columns) + ") VALUES (" +
         joined(columns, ", ", comes) + ")";
}

std::string insert_into(const Target& target, ColumnList columns) {
  return "INSERT INTO " + target.table.quoted_name() + " AS target (" +
         column_list(target.table, columns) + ") ";
}

// The name of the column that says which row was there first: no column of the table's.
std::string place_column(const TableDescription& table) {
  std::string name = "penstock_place";
  while (table.find_column(name) >= 0) name += '_';
  return quote_identifier(name);
}

}  // namespace

std::string column_list(const TableDescription& table, ColumnList columns) {
  return joined(columns, ", ", [&](std::uint16_t column) { return name_of(table, column); });
}

bool is_partial(const Target& target, ColumnList columns) {
  if (target.mode != WriteMode::upsert) return false;
  for (std::size_t i = 0; i < target.table.columns.size(); ++i) {
    const ColumnDescription& column = target.table.columns[i];
    const bool is_required = column.not_null && !column.has_default && !column.is_generated;
    if (is_required && !std::ranges::contains(columns, static_cast<std::uint16_t>(i))) return true;
  }
  return false;
}

std::string keyed_row_sql(const Target& target, ColumnList columns, bool removes) {
  const TableDescription& table = target.table;
  const auto parameter = [&](std::uint16_t column) {
    return "$" + std::to_string(std::ranges::lower_bound(columns, column) - columns.begin() + 1);
  };
  const auto has_key = [&](const std::string& relation) {
    return joined(target.key, " AND ", [&](std::uint16_t column) {
      return relation + "." + name_of(table, column) + " = " + parameter(column);
    });
  };
  if (removes && target.deleted_at) {
    const std::string mark = name_of(table, *target.deleted_at);
    return "UPDATE " + table.quoted_name() + " AS target SET " + mark + " = " +
           parameter(*target.deleted_at) + " WHERE " + has_key("target") + " AND target." + mark +
           " IS NULL";
  }
  if (removes) {
    return "DELETE FROM " + table.quoted_name() + " AS target WHERE " + has_key("target");
  }
  const std::string set = assignments(target, columns, parameter);
  const std::string update =
      "UPDATE " + table.quoted_name() + " AS target SET " + set + " WHERE " + has_key("target") +
      (target.newer_by ? " AND " + is_newer(target, parameter(*target.newer_by)) : "");
  if (target.mode == WriteMode::update) return set.empty() ? nothing(target) : update;
  const std::string values = joined(columns, ", ", parameter);
  const std::string insert = insert_into(target, columns);
  if (!is_partial(target, columns)) {
    return insert + "VALUES (" + values + ")" + on_conflict(target, columns);
  }
  // What is updated is what was there before: the row that is inserted is not.
  std::string inserts = insert + "SELECT " + values + " WHERE NOT EXISTS (SELECT FROM " +
                        table.quoted_name() + " AS present WHERE " + has_key("present") + ")" +
                        on_conflict(target, columns);
  if (set.empty()) return inserts;
  return "WITH inserted AS (" + inserts + ") " + update;
}

std::string staging_sql(const Target& target, ColumnList columns, const std::string& name,
                        bool removes) {
  const TableDescription& table = target.table;
  // A key that no CHECK would take is removed without a word: it is not there.
  const std::string rules = removes ? "" : " INCLUDING CONSTRAINTS INCLUDING GENERATED";
  std::string sql = "CREATE TEMPORARY TABLE " + name + " (LIKE " + table.quoted_name() + rules +
                    ", " + place_column(table) + " pg_catalog.int4) ON COMMIT DELETE ROWS";
  // What the rows lack has its DEFAULT in the table only.
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const auto column = static_cast<std::uint16_t>(i);
    if (!table.columns[i].not_null || std::ranges::contains(columns, column)) continue;
    sql += "; ALTER TABLE pg_temp." + name + " ALTER COLUMN " + name_of(table, column) +
           " DROP NOT NULL";
  }
  return sql;
}

std::string staging_copy_sql(const Target& target, ColumnList columns, const std::string& name) {
  return "COPY pg_temp." + name + " (" + column_list(target.table, columns) + ", " +
         place_column(target.table) + ") FROM STDIN (FORMAT binary)";
}

std::string staging_insert_sql(const Target& target, ColumnList columns, const std::string& name) {
  return "INSERT INTO pg_temp." + name + " (" + column_list(target.table, columns) + ", " +
         place_column(target.table) + ")";
}

std::string remove_sql(const Target& target, const std::string& removed) {
  const std::string key = column_list(target.table, target.key);
  return "DELETE FROM " + target.table.quoted_name() + " AS target USING (SELECT DISTINCT " + key +
         " FROM pg_temp." + removed + " ORDER BY " + key + ") AS removed WHERE " +
         same_key(target, "target", "removed");
}

std::string merge_sql(const Target& target, ColumnList columns, const std::string& name,
                      const std::string& removed, Meeting meeting) {
  const TableDescription& table = target.table;
  const std::string key = column_list(table, target.key);
  const std::string place = place_column(table);
  std::string order = key + ", " + place;
  std::string distinct;
  if (target.replaces()) {
    distinct = "DISTINCT ON (" + key + ") ";
    order = target.newer_by
                ? key + ", " + name_of(table, *target.newer_by) + " DESC NULLS LAST, " + place
                : order + " DESC";
  } else if (!target.in_order_for.empty()) {
    order = place;
  }
  std::string rows =
      "SELECT " + distinct + column_list(table, columns) + " FROM pg_temp." + name + " AS staged";
  if (!removed.empty()) {
    rows += " WHERE NOT EXISTS (SELECT FROM pg_temp." + removed + " AS removed WHERE " +
            same_key(target, "removed", "staged") + " AND removed." + place + " > staged." + place +
            ")";
  }
  rows += " ORDER BY " + order;
  if (target.mode == WriteMode::update) return update_sql(target, columns, rows);
  if (meeting == Meeting::merge) return merge_into(target, columns, rows);
  if (meeting == Meeting::look_first) {
    // A subquery and no join: one look into the index for each row, whatever the planner knows of a
    // temporary table.
    rows = "SELECT " + column_list(table, columns) + " FROM (" + rows +
           ") AS staged WHERE (SELECT " + stays(target, columns) + " FROM " + table.quoted_name() +
           " AS target WHERE " + same_key(target, "target", "staged") + ") IS NOT TRUE";
  }
  return insert_into(target, columns) + rows + on_conflict(target, columns);
}

}  // namespace penstock::write
