#include "write/session.h"

#include <algorithm>
#include <optional>

#include "postgres/binary_array.h"
#include "postgres/catalog.h"
#include "postgres/own_schema.h"
#include "write/keyed_sql.h"
#include "write/lock_holder.h"

namespace penstock::write {
namespace {

std::string ms(std::chrono::milliseconds value) { return std::to_string(value.count()); }

// A configuration error in our own schema has one cure.
void add_schema_hint(postgres::Failure& failure) {
  const std::string& state = failure.error.sqlstate;
  if (state == "3F000" || state == "42P01" || state == "42883" || state == "42703") {
    failure.error.hint = "run `penstock migrate up` on this database";
  }
}

// Of advisory locks, which everyone in the database shares: "pens" as a number.
constexpr int kTurns = 1885695603;

const TableDescription& table_of(const Slice& slice) { return slice.rows->target->table; }

// Of a table that has changed, rows must not stay: its columns may have come to mean other values,
// and binary COPY takes the eight bytes of a bigint for a double. A text that is no integer fails;
// no row, no failure. Nor may those after which this session would take our texts for others: a
// trigger can set client_encoding in the middle of a COPY.
std::string tables_sql(const std::string& version) {
  const std::string encoding = "pg_catalog.current_setting('client_encoding')";
  return "SELECT (SELECT pg_catalog.concat(e.name, CASE WHEN " + encoding +
         " = 'UTF8' THEN ' is not what it was when the pipeline read its columns' ELSE "
         "pg_catalog.concat('" +
         kSetsEncoding + "', " + encoding +
         ", ', in which texts would become others: take that out') END) FROM unnest($1, $2) AS "
         "e(name, version) WHERE " +
         encoding + " <> 'UTF8' OR e.version IS DISTINCT FROM " + version + " LIMIT 1)::int";
}

}  // namespace

postgres::Try<std::unique_ptr<Session>> Session::open(const LanesOptions& options, int lane,
                                                      postgres::Wakeup& wakeup,
                                                      postgres::SilenceWatch* watch) {
  std::unique_ptr<Session> session(new Session());
  session->identity_.name = options.session_name + "-" + std::to_string(lane);
  const std::vector<postgres::Connection::Setting> defaults{
      {"target_session_attrs", "read-write"},  // after a failover, find the new primary
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", ms(options.tcp_user_timeout)},
  };
  const std::vector<postgres::Connection::Setting> overrides{
      {"application_name", session->identity_.name},
      {"client_encoding", "UTF8"},
  };
  auto opened = postgres::Connection::open(options.conninfo, defaults, overrides,
                                           options.connect_timeout, wakeup);
  if (!opened) return std::unexpected(std::move(opened.error()));
  session->connection_ = std::move(*opened);
  if (options.statement_timeout.count() > 0) {
    session->connection_->set_reply_timeout(options.statement_timeout + options.reply_margin);
  }
  // A link may fall silent in the middle of this, too.
  session->connection_->set_deadline(std::chrono::steady_clock::now() + options.connect_timeout);
  if (auto done = session->configure(options); !done) {
    return std::unexpected(std::move(done.error()));
  }
  session->connection_->set_deadline(SteadyTime::max());
  session->connection_->set_silence_watch(watch, options.silence_after);
  return session;
}

postgres::Try<void> Session::configure(const LanesOptions& options) {
  // client_connection_check_interval ends a backend that waits for a lock after its client died; it
  // is not there on every platform, hence the block that forgives.
  // Of its own limits and those of the role or the database the smaller one holds. What is not
  // named here, such as transaction_timeout and idle_session_timeout, is the role's alone.
  auto reply = connection_->execute(
      "SELECT pg_catalog.set_config(s.name, ours.ms::text, false) FROM (VALUES "
      "('statement_timeout', " +
      ms(options.statement_timeout) + "), ('lock_timeout', " + ms(options.lock_timeout) +
      "), ('idle_in_transaction_session_timeout', " + ms(options.idle_in_transaction_timeout) +
      ")) AS ours(name, ms) JOIN pg_catalog.pg_settings s USING (name)"
      " WHERE s.setting::int = 0 OR (ours.ms > 0 AND ours.ms < s.setting::int)"
      "; SET default_transaction_deferrable = off"
      "; SET log_parameter_max_length_on_error = 0"  // see postgres::parameter_number()
      "; DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '5s', false);"
      " EXCEPTION WHEN OTHERS THEN NULL; END $$"
      "; SELECT pid, backend_start, pg_catalog.pg_postmaster_start_time() FROM pg_stat_activity "
      "WHERE pid = pg_backend_pid()");
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->rows() == 1) {
    identity_.pid = reply->string(0, 0);
    identity_.start = reply->string(0, 1);
    server_start_ = reply->string(0, 2);
  }

  const auto plain = [](const char* name, std::string sql, std::vector<std::uint32_t> types = {}) {
    Statement made;
    made.name = name;
    made.sql = std::move(sql);
    made.types = std::move(types);
    return made;
  };
  using namespace postgres::oid;
  constexpr const char* kTable = "pg_catalog.to_regclass(e.name)";
  const std::vector<Statement> fixed{
      plain(statement::kBegin, "BEGIN ISOLATION LEVEL READ COMMITTED"),
      plain(statement::kGlance, kGlanceSql),
      plain(statement::kTurn,
            "SELECT pg_catalog.pg_advisory_xact_lock(" + std::to_string(kTurns) +
                ", t.turn) FROM (SELECT DISTINCT pg_catalog.hashtext(e.name) AS turn "
                "FROM pg_catalog.unnest($1) AS e(name) ORDER BY 1) AS t",
            {kTextArray}),
      plain(statement::kCommit, "COMMIT"),
      plain(statement::kTables, tables_sql(postgres::table_version_sql(kTable)),
            {kTextArray, kTextArray}),
      plain(statement::kWholeTables,
            tables_sql("pg_catalog.concat(" + postgres::table_version_sql(kTable) + ", ' ', " +
                       postgres::table_rules_version_sql(kTable) + ")"),
            {kTextArray, kTextArray}),
      plain(statement::kImmediate, "SET CONSTRAINTS ALL IMMEDIATE"),
      plain(statement::kOuterSavepoint, "SAVEPOINT penstock_outer"),
      plain(statement::kSavepoint, "SAVEPOINT penstock_row"),
      plain(statement::kRollbackTo, "ROLLBACK TO SAVEPOINT penstock_row"),
      plain(statement::kReleaseOuter, "RELEASE SAVEPOINT penstock_outer"),
      // Its second column is the time that the first one took, without the network's.
      plain(statement::kFence,
            "SELECT penstock.advance($1, $2, $3, $4, $5, $6, $7), "
            "(extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000.0)::bigint",
            {kText, kTextArray, kInt4Array, kInt8Array, kInt8Array, kInt8Array, kInt4Array}),
      plain(
          statement::kDeadLetters,
          "WITH written AS (INSERT INTO penstock.dead_letters (pipeline, topic, partition, "
          "\"offset\", "
          "\"timestamp\", key, value, headers, stage, reason, sqlstate, message, target, trace_id, "
          "attempts, first_seen_at, plan_version) "
          "SELECT $1, u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h, u.i, u.j, u.k, u.l, u.m, u.n, "
          "pg_catalog.now() OPERATOR(pg_catalog.-) u.o::pg_catalog.interval, $17 "
          "FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
          "AS u(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) RETURNING 1) "
          // As for kTables: a text that is no integer fails.
          "SELECT (SELECT '" +
              std::string(kLettersLost) +
              "' FROM (SELECT pg_catalog.count(*) AS letters FROM written) w "
              "WHERE w.letters OPERATOR(pg_catalog.<>) pg_catalog.cardinality($2))::int",
          {kText, kTextArray, kInt4Array, kInt8Array, kTimestamptzArray, kByteaArray, kByteaArray,
           kJsonbArray, kTextArray, kTextArray, kTextArray, kTextArray, kTextArray, kTextArray,
           kInt4Array, kTextArray, kText}),
  };
  std::vector<bool> there;
  auto prepared = run_prepare({}, fixed, there);
  if (!prepared) {
    Error& error = prepared.error().error;
    if (postgres::waits_for_lock(error.sqlstate)) {
      error.message += lock_holder(*connection_, "{penstock.offsets,penstock.dead_letters}");
    }
    add_schema_hint(prepared.error());
    postgres::explain(*connection_, prepared.error());
  }
  return prepared;
}

// Every statement is a segment of its own, so that what is there is known also after an error.
postgres::Try<void> Session::run_prepare(std::span<const std::string> given_up,
                                         std::span<const Statement> statements,
                                         std::vector<bool>& prepared) {
  prepared.assign(statements.size(), false);
  if (auto entered = connection_->enter_pipeline(); !entered) return entered;
  postgres::Try<void> sent;
  for (const std::string& name : given_up) {
    if (sent) sent = connection_->send_prepare("", "DEALLOCATE " + name, {});
    if (sent) sent = connection_->send_prepared("", {});
  }
  if (sent) sent = connection_->send_sync();
  for (const Statement& made : statements) {
    if (sent) sent = connection_->send_prepare(made.name.c_str(), made.sql, made.types);
    if (sent) sent = connection_->send_sync();
  }
  if (!sent) return sent;
  std::optional<postgres::Failure> failure;
  bool well = true;
  for (std::size_t segment = 0; segment <= statements.size();) {
    auto reply = connection_->next();
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->kind() == postgres::ReplyKind::sync) {
      if (segment > 0) prepared[segment - 1] = well;
      ++segment;
      well = true;
    } else if (reply->kind() == postgres::ReplyKind::error) {
      well = false;
      if (!failure) failure = reply->failure();
      if (failure->connection_lost) return std::unexpected(std::move(*failure));
    }
  }
  connection_->leave_pipeline();
  if (failure) return std::unexpected(std::move(*failure));
  return {};
}

std::string Session::key(const Statement& statement) {
  std::string key = statement.sql;
  for (const std::uint32_t type : statement.types) key += '\0' + std::to_string(type);
  return key;
}

// False: everything that is there is used by this transaction.
bool Session::make_room(std::vector<std::string>& given_up) {
  if (statements_.size() < kMaxStatements) return true;
  const auto oldest = std::ranges::min_element(
      statements_, {}, [](const auto& entry) { return entry.second.last_used; });
  if (oldest->second.last_used == uses_) return false;
  given_up.push_back(oldest->second.name);
  statements_.erase(oldest);
  return true;
}

postgres::Try<void> Session::prepare(const std::vector<Statement>& wanted) {
  ++uses_;
  std::vector<Statement> missing;
  for (const Statement& statement : wanted) {
    if (const auto found = statements_.find(key(statement)); found != statements_.end()) {
      found->second.last_used = uses_;
    } else {
      missing.push_back(statement);
    }
  }
  std::vector<std::string> given_up;
  std::vector<Statement> added;
  for (Statement& statement : missing) {
    std::string text = key(statement);
    if (statements_.contains(text)) continue;  // twice among the wanted
    if (!make_room(given_up)) break;
    statement.name = "penstock_" + std::to_string(names_++);
    statement.last_used = uses_;
    added.push_back(statement);
    statements_.emplace(std::move(text), std::move(statement));
  }
  if (added.empty()) return {};
  std::vector<bool> there;
  auto prepared = run_prepare(given_up, added, there);
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (!there[i]) statements_.erase(key(added[i]));
  }
  return prepared;
}

const Session::Statement& Session::find(const Statement& statement) const {
  const auto found = statements_.find(key(statement));
  return found != statements_.end() ? found->second : statement;
}

std::string Session::copy_statement(const Slice& slice) {
  const TableDescription& table = table_of(slice);
  return "COPY " + table.quoted_name() + " (" + column_list(table, *slice.columns) +
         ") FROM STDIN (FORMAT binary)";
}

Session::Statement Session::insert(const Slice& slice, bool many) {
  const TableDescription& table = table_of(slice);
  const bool is_keyed = slice.rows->target->is_keyed();
  Statement statement;
  const bool joins = many && !is_keyed && !slice.columns->empty();
  statement.many = joins;
  for (const std::uint16_t column : *slice.columns) {
    const ColumnDescription& description = table.columns[column];
    // Of a composite type, unnest makes a column of each attribute.
    statement.many = statement.many && !description.is_array && description.array_oid != 0 &&
                     description.type != ColumnType::by_text &&
                     description.type != ColumnType::composite;
  }
  if (joins && !statement.many) statement.rows = kRowsTogether;
  std::string places;
  for (std::size_t row = 0; row < statement.rows; ++row) {
    places += row == 0 ? "" : "), (";
    for (const std::uint16_t column : *slice.columns) {
      const ColumnDescription& description = table.columns[column];
      statement.types.push_back(statement.many ? description.array_oid : description.type_oid);
      if (statement.many) statement.element_types.push_back(description.type_oid);
      places += column == slice.columns->front() ? "$" : ", $";
      places += std::to_string(statement.types.size());
    }
  }
  if (is_keyed) {
    statement.sql = keyed_row_sql(*slice.rows->target, *slice.columns, slice.shape->removes);
    return statement;
  }
  const std::string columns = column_list(table, *slice.columns);
  statement.sql = "INSERT INTO " + table.quoted_name();
  if (statement.types.empty()) {
    statement.sql += " DEFAULT VALUES";
  } else if (statement.many) {
    // PostgreSQL takes unnest of several for its own; of one it could be somebody else's.
    const char* const unnest = statement.types.size() == 1 ? "pg_catalog.unnest(" : "unnest(";
    statement.sql += " (" + columns + ") SELECT * FROM " + unnest + places + ")";
  } else {
    statement.sql += " (" + columns + ") VALUES (" + places + ")";
  }
  return statement;
}

}  // namespace penstock::write
