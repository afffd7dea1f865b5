// What others have made of schema penstock: rights that are gone, tables with another name, and
// what makes rows vanish that are written there.
//
// Place: app/ asks before a pipeline starts; whoever meets a failure in it, or a row that is
// missing, asks before somebody else is blamed.
// Threads: the connection's owner. Failure: as Connection.
#pragma once

#include <string>

#include "postgres/connection.h"

namespace penstock::postgres {

// Fails, of class `configuration`, with what this role cannot work with and the statement that
// cures it: a right that it lacks, a table that is gone, row-level security that applies to it, a
// rule.
[[nodiscard]] Try<void> check_own_schema(Connection& connection);

// A statement on tables of Penstock's own has failed for this: where check_own_schema() knows why,
// the failure says so. Rolls back.
void explain(Connection& connection, Failure& failure);

// What can make nothing of a row that is written to `table` (as SQL names it), such as "the trigger
// audit, row-level security"; of triggers those that come before each row. Empty: nothing can.
[[nodiscard]] Try<std::string> swallowers_of(Connection& connection, const std::string& table);
// Fewer rows of penstock.`table` were written than a statement was given: names whose doing it may
// be. Of class `configuration`. Not in a transaction that has failed.
[[nodiscard]] Failure not_written(Connection& connection, const std::string& table);

}  // namespace penstock::postgres
