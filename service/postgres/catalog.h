// What PostgreSQL must be told or asked before a lane may write: is the server fit, and what does
// the target table look like.
//
// Place in the flow: app/ calls both at start and `penstock check --online` does; compute/ binds
// expressions to the description, lanes encode by it.
// Threads: free functions without state; each call leases a connection of the pool.
// Failure: a value. `unavailable` is worth another try; all other kinds need a person. No message
// ever holds the password or the rest of the connection string. Stop: a stop that is requested ends
// the waiting with `cancelled`; without one the answer comes within about `limit`, besides
// connecting.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/table.h"

namespace penstock::postgres {

class Pool;

struct ServerDescription {
  int version = 0;   // as server_version_num: 170005
  std::string host;  // a directory when it is a Unix socket
  std::uint16_t port = 0;
  std::string database;
  std::string user;
  std::string system_identifier;  // empty when the role may not read it
  bool behind_pooler = false;     // in session mode
};

// Checks that Penstock can work there: PostgreSQL 14 or later, encoding UTF8, a session that may
// write (not a standby, not default_transaction_read_only), and that is ours: a pooler may stand
// between only if it keeps a session together.
[[nodiscard]] Result<ServerDescription> check_server(
    Pool& pool, const std::stop_token& stop = {},
    std::chrono::milliseconds limit = std::chrono::seconds(10));

// Reads `table`, which is "schema.table" or found by the role's search_path; quotes as in SQL
// (orders, public.orders, "Order Lines", app."Order"). All that it says is of one moment.
// not_found: names the nearest tables. invalid_argument: a relation that cannot be written exactly
// once by both write methods (view, foreign table, row-level security, ON INSERT rule), says why.
// permission_denied: names the GRANT that fixes it. A partitioned table is written through its
// parent. Columns of a type that Penstock cannot write are there as `unsupported`.
[[nodiscard]] Result<TableDescription> describe_table(
    Pool& pool, const std::string& table, const std::stop_token& stop = {},
    std::chrono::milliseconds limit = std::chrono::seconds(10));

// A foreign key that is checked with every statement, and not at COMMIT.
struct ForeignKey {
  std::string name;
  std::string parent_schema;
  std::string parent;  // the table that it refers to
};
[[nodiscard]] Result<std::vector<ForeignKey>> foreign_keys_of(
    Pool& pool, const TableDescription& table, const std::stop_token& stop = {},
    std::chrono::milliseconds limit = std::chrono::seconds(10));

// SQL for the version of a table: an expression whose value changes with whatever makes
// describe_table() say something else. `regclass` is an expression, too. It is text, and NULL when
// there is no such table. Not covered: a CHECK that a domain is given, and foreign partitions.
[[nodiscard]] std::string table_version_sql(const std::string& regclass);

// The same for TableDescription::rules_version: indexes, constraints and triggers of the table.
[[nodiscard]] std::string table_rules_version_sql(const std::string& regclass);

}  // namespace penstock::postgres
