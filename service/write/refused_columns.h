// Which column PostgreSQL means where it does not name one: of a text that is no label of an enum
// it names the parameter of the statement, of a value that a domain's CHECK refuses the domain.
//
// Place: what becomes of a row that is refused alone (group.h, Refusal). Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/table.h"
#include "postgres/failure_class.h"
#include "write/group.h"

namespace penstock::write {

// The columns of the row that may be meant: one, or all that are of the domain and have a value (or
// have none, if it demands one). Empty: PostgreSQL says nothing of that kind. `row` is one row,
// which was written by an INSERT of its own.
[[nodiscard]] std::vector<const ColumnDescription*> refused_columns(
    const postgres::Failure& failure, const Slice& row);

// "one of: sad, ok"; empty if the column is of no enum, or the failure is another.
[[nodiscard]] std::string labels_hint(const postgres::Failure& failure,
                                      const ColumnDescription& column);

// ", constraint "c", column "d" of table "t"", as far as PostgreSQL has named them: what may be
// said where nothing of the row may.
[[nodiscard]] std::string place_of(const Refusal& refusal);

}  // namespace penstock::write
