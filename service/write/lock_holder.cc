#include "write/lock_holder.h"

namespace penstock::write {

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
      "SELECT a.pid, a.application_name, a.state, pg_catalog.date_trunc('second', a.xact_start)"
      " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
      " WHERE l.granted AND l.pid <> pg_backend_pid() AND l.locktype = 'relation'"
      " AND l.relation = ANY ($1::regclass[]::oid[]) AND l.mode <> 'AccessShareLock'"
      " ORDER BY l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
      " 'AccessExclusiveLock') DESC, a.xact_start LIMIT 1",
      {tables});
  if (!found || found->rows() == 0) return {};
  return "; a lock is held by process " + found->string(0, 0) + " (" + found->string(0, 1) + ", " +
         found->string(0, 2) + ", transaction begun " + found->string(0, 3) + ")";
}

}  // namespace penstock::write
