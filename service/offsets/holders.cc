#include "offsets/holders.h"

#include <cctype>
#include <string_view>
#include <utility>

#include "core/log.h"

namespace penstock::offsets {
namespace {

// What both questions say of a session: columns 0 to 6.
constexpr std::string_view kSession =
    "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.usename, p.owner, ''), "
    "coalesce(a.state, ''), to_char(coalesce(a.xact_start, p.prepared) AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), coalesce(a.query, ''), coalesce(p.gid, '')";
constexpr std::string_view kSessionJoins =
    " LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p "
    "ON l.pid IS NULL AND p.transaction = (SELECT x.transactionid FROM pg_locks x "
    "WHERE x.virtualtransaction = l.virtualtransaction AND x.pid IS NULL "
    "AND x.locktype = 'transactionid' LIMIT 1) ";

// A lock on the table that keeps claims out, also one that is only wanted: others queue up behind
// it. Sessions of others that may hold rows come last.
std::string table_holders() {
  return std::string(kSession) +
         ", l.mode, l.granted, l.mode NOT IN ('RowShareLock', 'RowExclusiveLock') AS all_wait "
         "FROM pg_locks l" +
         std::string(kSessionJoins) +
         "WHERE l.locktype = 'relation' AND l.relation = to_regclass('penstock.offsets') "
         "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
         "AND l.pid IS DISTINCT FROM pg_backend_pid() "
         "AND (l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "
         "'AccessExclusiveLock') OR l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock') "
         "AND coalesce(a.application_name, '') NOT LIKE 'penstock/%') "
         "ORDER BY all_wait DESC, l.granted DESC, l.pid";
}

// The row says which transaction holds it, and that one's lock on itself says who it is.
std::string row_holders() {
  return std::string(kSession) +
         ", o.topic, o.partition, l.transactionid::text, coalesce(a.backend_start::text, '') "
         "FROM penstock.offsets o JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted "
         "AND l.mode = 'ExclusiveLock' AND l.transactionid = o.xmax" +
         std::string(kSessionJoins) +
         "WHERE o.pipeline = $1 AND l.pid IS DISTINCT FROM pg_backend_pid() "
         "AND (o.topic, o.partition) IN (SELECT * FROM unnest($2::text[], $3::integer[]))";
}

constexpr const char* kEnd =
    "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a "
    "JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'transactionid' AND l.granted "
    "AND l.transactionid = $2::xid "
    "WHERE a.pid = $1::integer AND coalesce(a.backend_start::text, '') = $3 "
    "AND a.application_name LIKE 'penstock/%'";

// The first words of a statement, up to what may be somebody's data: "ALTER TABLE".
std::string command_of(std::string_view query) {
  std::string words;
  for (int count = 0; count < 2; ++count) {
    std::size_t size = 0;
    while (size < query.size() && std::isalpha(static_cast<unsigned char>(query[size])) != 0) {
      ++size;
    }
    if (size == 0 || (size < query.size() && query[size] != ' ' && query[size] != ';')) break;
    if (count > 0) words += ' ';
    for (const char c : query.substr(0, size)) {
      words += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    query.remove_prefix(size);
    while (query.starts_with(' ')) query.remove_prefix(1);
  }
  return words;
}

std::string words_of(const postgres::Reply& reply, int row) {
  const std::string role = ", role " + reply.string(row, 2);
  const std::string since = reply.is_null(row, 4) ? "" : " since " + reply.string(row, 4);
  if (reply.is_null(row, 0)) {
    return "the prepared transaction '" + reply.string(row, 6) + "'" + role + since;
  }
  const std::string command = command_of(reply.text(row, 5));
  const std::string state = reply.string(row, 3);
  return "pid " + reply.string(row, 0) + " (" + reply.string(row, 1) + role + ", " +
         (state.empty() ? "what it does is shown to pg_monitor and pg_read_all_stats only"
                        : state) +
         since + (command.empty() ? "" : "; " + command) + ")";
}

struct TableHolders {
  std::string words;
  bool everybody_waits = false;
};

postgres::Try<TableHolders> find_table_holders(postgres::Connection& connection) {
  auto reply = connection.execute(table_holders(), {});
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->rows() == 0) return TableHolders();
  if (reply->is_true(0, 9)) {
    return TableHolders{.words = "penstock.offsets is locked (" + reply->string(0, 7) +
                                 (reply->is_true(0, 8) ? ") by " : ", wanted) by ") +
                                 words_of(*reply, 0),
                        .everybody_waits = true};
  }
  std::string all;
  for (int row = 0; row < reply->rows(); ++row) {
    all += (all.empty() ? "" : ", ") + words_of(*reply, row);
  }
  return TableHolders{.words = "a lock on its row in penstock.offsets is held, perhaps by " + all};
}

postgres::Try<std::map<Key, Holder>> find_row_holders(postgres::Connection& connection,
                                                      const std::string& pipeline,
                                                      const KeyColumns& keys) {
  auto reply =
      connection.execute(row_holders(), {pipeline, keys.topics.text(), keys.partitions.text()});
  if (!reply) return std::unexpected(std::move(reply.error()));
  std::map<Key, Holder> holders;
  for (int row = 0; row < reply->rows(); ++row) {
    const auto partition = static_cast<std::int32_t>(std::stol(reply->string(row, 8)));
    holders[{reply->string(row, 7), partition}] = {
        .pid = reply->string(row, 0),
        .transaction = reply->string(row, 9),
        .backend_start = reply->string(row, 10),
        .ours = reply->text(row, 1).starts_with("penstock/"),
        .words = words_of(*reply, row)};
  }
  return holders;
}

// Runs `statements` in a transaction of its own.
template <typename Statements>
auto in_transaction(postgres::Connection& connection, const Limits& limits, Statements statements)
    -> decltype(statements()) {
  if (auto begun = begin(connection, limits); !begun) {
    return std::unexpected(std::move(begun.error()));
  }
  auto result = statements();
  roll_back(connection);
  return result;
}

}  // namespace

postgres::Try<Holders> find_holders(postgres::Connection& connection, const Limits& limits,
                                    const KeyColumns& keys) {
  return in_transaction(connection, limits, [&]() -> postgres::Try<Holders> {
    Holders holders;
    auto table = find_table_holders(connection);
    if (!table) return std::unexpected(std::move(table.error()));
    holders.table = std::move(table->words);
    if (table->everybody_waits) return holders;  // so would we, for the rows
    auto rows = find_row_holders(connection, limits.pipeline, keys);
    if (!rows && timed_out(rows.error())) return holders;  // the table was locked meanwhile
    if (!rows) return std::unexpected(std::move(rows.error()));
    holders.rows = std::move(*rows);
    return holders;
  });
}

postgres::Try<bool> end_backend(postgres::Connection& connection, const Limits& limits,
                                const Holder& holder) {
  return in_transaction(connection, limits, [&]() -> postgres::Try<bool> {
    auto reply = connection.execute(kEnd, {holder.pid, holder.transaction, holder.backend_start});
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->rows() == 0 || !reply->is_true(0, 0)) return false;
    log(LogLevel::warning, "blocking_backend_ended",
        {{"pid", holder.pid}, {"pipeline", limits.pipeline}});
    return true;
  });
}

}  // namespace penstock::offsets
