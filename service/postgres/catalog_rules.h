// What the catalog says of how rows of a table stand to each other: unique indexes, what else looks
// at a row, and what this role may do to write by key.
//
// Place: catalog.cc, within its transaction. Threads: the connection's owner.
#pragma once

#include <string>

#include "core/table.h"
#include "postgres/connection.h"

namespace penstock::postgres {

// Fills in what matters to targets that are written by key, for the relation with this oid.
[[nodiscard]] Try<void> read_rules(Connection& connection, const std::string& id,
                                   TableDescription& table);

}  // namespace penstock::postgres
