// Whether a pooler such as PgBouncer stands between us and PostgreSQL, and whether the session that
// it shows us is one.
//
// Inside postgres/ only: check_server() asks. In transaction or statement mode a pooler hands each
// transaction to any of its sessions: settings and prepared statements go astray, and process ids
// are other people's.
// Threads: a free function; the connection is its caller's.
#pragma once

#include <string>

#include "postgres/connection.h"

namespace penstock::postgres {

// False: nobody stands between. True: somebody does, and keeps sessions together. A pooler that
// does not is refused (`configuration`). Behind a pooler it opens a second connection for a moment.
[[nodiscard]] Try<bool> is_behind_pooler(Connection& connection, const std::string& conninfo,
                                         const std::string& application_name);

}  // namespace penstock::postgres
