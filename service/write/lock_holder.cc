#include "write/lock_holder.h"

namespace penstock::write {

namespace {

// Of the columns of kSession.
constexpr const char* kSession =
    "SELECT a.pid, a.application_name, a.state, pg_catalog.date_trunc('second', a.xact_start)";
std::string words_of(const postgres::Reply& reply) {
  return "a lock is held by process " + reply.string(0, 0) + " (" + reply.string(0, 1) + ", " +
         reply.string(0, 2) + ", transaction begun " + reply.string(0, 3) + ")";
}

}  // namespace

std::string tables_of(const Plan& plan, std::string_view own) {
  std::string tables = "{" + std::string(own);
  for (const Target& target : plan.targets()) {
    std::string quoted;
    for (const char c : target.table.quoted_name()) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    tables += ",\"" + quoted + '"';
  }
  return tables + '}';
}

std::string lock_holder(postgres::Connection& connection, const std::string& tables) {
  auto found = connection.execute(
      std::string(kSession) +
          " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
          " WHERE l.granted AND l.pid <> pg_backend_pid() AND l.locktype = 'relation'"
          " AND l.relation = ANY ($1::regclass[]::oid[]) AND l.mode <> 'AccessShareLock'"
          " ORDER BY l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
          " 'AccessExclusiveLock') DESC, a.xact_start LIMIT 1",
      {tables});
  if (!found || found->rows() == 0) return {};
  return "; " + words_of(*found);
}

std::optional<std::string> blocker_of(postgres::Connection& connection, int pid) {
  // A prepared transaction has no process.
  auto found = connection.execute(
      std::string(kSession) +
          " FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b(pid)"
          " LEFT JOIN pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) b.pid"
          " ORDER BY a.xact_start LIMIT 1",
      {std::to_string(pid)});
  if (!found) return std::nullopt;
  if (found->rows() == 0) return "";
  if (found->is_null(0, 0)) return "a lock is held by a prepared transaction";
  return words_of(*found);
}

}  // namespace penstock::write
