#include "write/silent_holders.h"

#include <algorithm>
#include <cstdlib>

#include "core/log.h"

namespace penstock::write {
namespace {

// What has come from its client last: a statement, or bytes of a COPY.
constexpr const char* kProgress = "pg_catalog.concat(a.state_change, ' ', c.bytes_processed)";
constexpr const char* kFrom =
    " FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy c ON c.pid = a.pid "
    "WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() "
    "AND a.application_name LIKE 'penstock/lane-%' AND a.wait_event_type = 'Client' ";

// How long it has been silent, too: in a COPY nobody but us can say.
std::string holders_sql() {
  return std::string("SELECT a.pid, a.backend_xid, ") + kProgress +
         ", CASE WHEN c.pid IS NULL THEN (extract(epoch FROM clock_timestamp() - a.state_change) * "
         "1000)::bigint ELSE 0 END" +
         kFrom +
         "AND a.backend_xid IS NOT NULL AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid "
         "AND l.granted AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' "
         "AND l.relation = ANY ($1::regclass[]::oid[]))";
}

std::string end_sql() {
  return std::string("SELECT pg_catalog.pg_terminate_backend(a.pid)") + kFrom +
         "AND a.pid = $1::int AND a.backend_xid = $2::xid AND " + kProgress + " = $3";
}

}  // namespace

std::size_t SilentHolders::end(Session& session, const std::string& tables, SteadyTime now) {
  Looked looked = look(session, tables, now);
  if (!looked.is_new) return looked.ended;
  // A long statement may just have ended, and the next one be on its way.
  if (!session.connection().execute("SELECT pg_catalog.pg_sleep($1::double precision)", {"0.1"})) {
    return looked.ended;
  }
  return looked.ended + look(session, tables, now).ended;
}

SilentHolders::Looked SilentHolders::look(Session& session, const std::string& tables,
                                          SteadyTime now) {
  const auto before = std::exchange(seen_, {});
  const auto found = session.connection().execute(holders_sql(), {tables});
  if (!found) return {};
  Looked looked;
  for (int row = 0; row < found->rows(); ++row) {
    const Transaction transaction{found->string(row, 0), found->string(row, 1)};
    Seen seen{.progress = found->string(row, 2), .since = now};
    const auto known = before.find(transaction);
    const bool is_same = known != before.end() && known->second.progress == seen.progress;
    if (is_same) seen.since = known->second.since;
    const std::chrono::milliseconds told{std::strtoll(found->string(row, 3).c_str(), nullptr, 10)};
    if (std::max<SteadyTime::duration>(now - seen.since, told) >= patience_) {
      looked.is_new |= !is_same;
      if (is_same && end_one(session, transaction, seen.progress)) ++looked.ended;
    }
    seen_.emplace(transaction, std::move(seen));
  }
  return looked;
}

bool SilentHolders::end_one(Session& session, const Transaction& transaction,
                            const std::string& progress) {
  const auto done =
      session.connection().execute(end_sql(), {transaction.first, transaction.second, progress});
  if (!done || done->rows() != 1 || !done->is_true(0, 0)) return false;
  log(LogLevel::warning, "blocking_backend_ended", {{"pid", transaction.first}});
  return true;
}

}  // namespace penstock::write
