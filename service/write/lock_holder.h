// Who holds a lock that keeps others from writing a pipeline's tables.
//
// Place: a lane and a redrive ask after they have waited for a lock in vain, in no transaction; a
// verification while it waits, over another session.
// Threads: the session's only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/plan.h"
#include "postgres/connection.h"

namespace penstock::write {

// What the plan's transactions write, as an array of PostgreSQL's: its tables, and `own` of
// Penstock's.
[[nodiscard]] std::string tables_of(const Plan& plan, std::string_view own);

// By now, a moment later: "; a lock is held by process …", or by a prepared transaction, or is
// wanted by one that waits itself, and for whom. Empty: nobody who can be seen.
[[nodiscard]] std::string lock_holder(postgres::Connection& connection, const std::string& tables);

// Who keeps this backend waiting, in the same words without the beginning. Empty: nobody. Nothing:
// it could not be asked.
[[nodiscard]] std::optional<std::string> blocker_of(postgres::Connection& connection, int pid);

}  // namespace penstock::write
