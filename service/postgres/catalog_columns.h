// What the catalog says of a table's columns: types, what may be left out, what it then comes to.
//
// Place: catalog.cc, within its transaction. Threads: the connection's owner.
#pragma once

#include <string>
#include <vector>

#include "core/table.h"
#include "postgres/connection.h"

namespace penstock::postgres {

// The columns of the relation with this oid, in their order. `may_insert`: whether this role may
// write one of them.
[[nodiscard]] Try<std::vector<ColumnDescription>> read_columns(Connection& connection,
                                                               const std::string& id,
                                                               bool& may_insert);

// Fills in what DEFAULTs come to that always come to the same. The last of a transaction: where a
// DEFAULT fails, which is nobody's fault but its author's, it is left to PostgreSQL.
[[nodiscard]] Try<void> read_constant_defaults(Connection& connection, const std::string& id,
                                               std::vector<ColumnDescription>& columns);

// A label or a name with a line end in it is taken for two, which harms nobody.
[[nodiscard]] std::vector<std::string> lines_of(std::string_view text);

}  // namespace penstock::postgres
