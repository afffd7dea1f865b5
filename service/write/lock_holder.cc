#include "write/lock_holder.h"

namespace penstock::write {

namespace {

// Columns 0 to 3 of a session: the process that they say, with what `more` says of it.
std::string process_of(const postgres::Reply& found, const std::string& more) {
  const std::string state = found.string(0, 2);
  return "process " + found.string(0, 0) + " (" + found.string(0, 1) + ", " +
         (state.empty() ? "what it does is shown to pg_monitor and pg_read_all_stats only"
                        : state + ", transaction begun " + found.string(0, 3)) +
         more + ")";
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

namespace {

// Of a lock `l`: what words_of() reads.
constexpr const char* kLock =
    "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.state, ''),"
    " pg_catalog.date_trunc('second', coalesce(a.xact_start, p.prepared)), coalesce(p.gid, ''),"
    " l.mode, l.relation::regclass::text, l.granted"
    " FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
    " LEFT JOIN pg_prepared_xacts p ON l.pid IS NULL AND p.transaction ="
    " (SELECT x.transactionid FROM pg_locks x WHERE x.virtualtransaction = l.virtualtransaction"
    " AND x.pid IS NULL AND x.locktype = 'transactionid' LIMIT 1)"
    " WHERE l.locktype = 'relation' AND l.relation = ANY ($1::regclass[]::oid[])"
    " AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())";

std::string words_of(const postgres::Reply& found) {
  const std::string lock = found.string(0, 5) + " on " + found.string(0, 6);
  if (found.is_null(0, 0)) {
    const std::string name = found.string(0, 4);
    return "the prepared transaction '" + name + "' (prepared " + found.string(0, 3) + "; " + lock +
           "), which COMMIT PREPARED or ROLLBACK PREPARED '" + name + "' ends";
  }
  return process_of(found, "; " + lock);
}

}  // namespace

std::string lock_holder(postgres::Connection& connection, const std::string& tables) {
  constexpr std::string_view kKeepsOut =
      "l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
  auto found = connection.execute(
      std::string(kLock) + " AND l.pid IS DISTINCT FROM pg_backend_pid() AND (" +
          std::string(kKeepsOut) +
          " OR l.granted AND l.mode <> 'AccessShareLock') ORDER BY l.granted AND " +
          std::string(kKeepsOut) + " DESC, NOT l.granted DESC, a.xact_start LIMIT 1",
      {tables});
  if (!found || found->rows() == 0) return {};
  if (found->is_true(0, 7)) return "; a lock is held by " + words_of(*found);
  // Whoever wants a lock comes before all that ask for one later.
  std::string wanted = "; a lock is wanted by " + words_of(*found) + ", and waited for behind it";
  auto before =
      connection.execute(std::string(kLock) +
                             " AND l.granted AND coalesce(l.pid, 0) = ANY "
                             "(pg_catalog.pg_blocking_pids($2::int)) ORDER BY a.xact_start LIMIT 1",
                         {tables, found->string(0, 0)});
  if (!before || before->rows() == 0) return wanted;
  return wanted + "; it waits itself for " + words_of(*before);
}

std::optional<std::string> blocker_of(postgres::Connection& connection, int pid) {
  // A prepared transaction has no process.
  auto found = connection.execute(
      "SELECT a.pid, a.application_name, a.state, pg_catalog.date_trunc('second', a.xact_start)"
      " FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b(pid)"
      " LEFT JOIN pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) b.pid"
      " ORDER BY a.xact_start LIMIT 1",
      {std::to_string(pid)});
  if (!found) return std::nullopt;
  if (found->rows() == 0) return "";
  if (found->is_null(0, 0)) return "a lock is held by a prepared transaction";
  return "a lock is held by " + process_of(*found, "");
}

}  // namespace penstock::write
