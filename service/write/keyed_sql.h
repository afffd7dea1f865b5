// The SQL of targets that are written by key.
//
// One row at a time, a statement is what it says. Many go to a temporary table first, by COPY,
// where the table's own types, NOT NULLs and CHECKs see each of them, and are merged from there by
// one statement: of several versions of a row the last one, sorted by key, so that two transactions
// that meet in the same rows lock them in the same order. Rows are compared as they are stored
// (*<>): 1.0 becomes 1.00, and json can be compared at all. Where a column says which version is
// the newer one (Target::newer_by), that decides instead of the order. Pure. Threads: free
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/plan.h"

namespace penstock::write {

// `columns` of a row, as ascending indexes into the table's; the key is among them.
using ColumnList = std::span<const std::uint16_t>;

// How staged rows meet those that are there.
enum class Meeting : std::uint8_t {
  // MERGE: a new row is logged once, and one that would change nothing is not even locked. It fails
  // with 23505 where somebody else inserts the row meanwhile. Since PostgreSQL 15.
  merge,
  // INSERT … ON CONFLICT, which waits for the other and goes on; a new row is logged twice.
  conflict,
  // Likewise, but rows that would change nothing are looked for before: it locks those that it
  // meets, which PostgreSQL logs.
  look_first,
};

// "a, b", quoted.
[[nodiscard]] std::string column_list(const TableDescription& table, ColumnList columns);

// Whether a new row could not do without a column that these rows lack. NOT NULL is looked at
// before the conflict is: a row that is there has to be updated first, and one by one.
[[nodiscard]] bool is_partial(const Target& target, ColumnList columns);

// Writes one row, whose fields are $1, $2, …, or removes or marks the one of this key.
[[nodiscard]] std::string keyed_row_sql(const Target& target, ColumnList columns, bool removes);

// Makes the temporary table, of the name, for rows with these columns, or for keys to be removed.
[[nodiscard]] std::string staging_sql(const Target& target, ColumnList columns,
                                      const std::string& name, bool removes);
// COPY into it: tuples with one field more at the end, an int4 that grows from row to row.
[[nodiscard]] std::string staging_copy_sql(const Target& target, ColumnList columns,
                                           const std::string& name);
// INSERT into it of the same fields, without its VALUES.
[[nodiscard]] std::string staging_insert_sql(const Target& target, ColumnList columns,
                                             const std::string& name);
// Removes the rows whose keys are in a temporary table.
[[nodiscard]] std::string remove_sql(const Target& target, const std::string& removed);
// Writes the rows that are in one, but for those that `removed` (empty: there is none) has later.
[[nodiscard]] std::string merge_sql(const Target& target, ColumnList columns,
                                    const std::string& name, const std::string& removed,
                                    Meeting meeting);

}  // namespace penstock::write
