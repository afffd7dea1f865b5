#include "write/session.h"

#include <set>

#include "postgres/binary_array.h"

namespace penstock::write {
namespace {

std::string ms(std::chrono::milliseconds value) { return std::to_string(value.count()); }

std::string quote_literal(std::string_view text) {
  std::string quoted = text.contains('\\') ? " E'" : "'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'' || c == '\\') quoted += c;
  }
  return quoted += "'";
}

// A configuration error in our own schema has one cure.
void add_schema_hint(postgres::Failure& failure) {
  const std::string& state = failure.error.sqlstate;
  if (state == "3F000" || state == "42P01" || state == "42883" || state == "42703") {
    failure.error.hint = "run `penstock migrate up` on this database";
  } else if (state == "42501") {
    failure.error.hint =
        "GRANT USAGE ON SCHEMA penstock, GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA "
        "penstock to the role of the connection string";
  }
}

}  // namespace

postgres::Try<std::unique_ptr<Session>> Session::open(const LaneOptions& options,
                                                      postgres::Wakeup& wakeup) {
  std::unique_ptr<Session> session(new Session(options));
  const std::vector<postgres::Connection::Setting> defaults{
      {"target_session_attrs", "read-write"},  // after a failover, find the new primary
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", ms(options.tcp_user_timeout)},
  };
  const std::vector<postgres::Connection::Setting> overrides{
      {"application_name",
       "penstock/" + options.pipeline + "/lane-" + std::to_string(options.index)},
      {"client_encoding", "UTF8"},
  };
  auto opened = postgres::Connection::open(options.conninfo, defaults, overrides,
                                           options.connect_timeout, wakeup);
  if (!opened) return std::unexpected(std::move(opened.error()));
  session->connection_ = std::move(*opened);
  if (options.statement_timeout.count() > 0) {
    session->connection_->set_reply_timeout(options.statement_timeout + options.reply_margin);
  }
  if (auto done = session->configure(); !done) return std::unexpected(std::move(done.error()));
  if (auto done = session->read_array_types(); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return session;
}

postgres::Try<void> Session::configure() {
  // client_connection_check_interval ends a backend that waits for a lock after its client died; it
  // is not there on every platform, hence the block that forgives.
  auto reply = connection_->execute(
      "SET statement_timeout = " + ms(options_.statement_timeout) +
      "; SET lock_timeout = " + ms(options_.lock_timeout) +
      "; SET idle_in_transaction_session_timeout = " + ms(options_.idle_in_transaction_timeout) +
      "; SET default_transaction_deferrable = off"
      "; DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '5s', false);"
      " EXCEPTION WHEN OTHERS THEN NULL; END $$"
      "; SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()");
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->rows() == 1) identity_ = {reply->string(0, 0), reply->string(0, 1)};

  auto prepared = prepare({
      {statement::kBegin, {"BEGIN ISOLATION LEVEL READ COMMITTED", {}}},
      {statement::kCommit, {"COMMIT", {}}},
      {statement::kImmediate, {"SET CONSTRAINTS ALL IMMEDIATE", {}}},
      {statement::kOuterSavepoint, {"SAVEPOINT penstock_outer", {}}},
      {statement::kSavepoint, {"SAVEPOINT penstock_row", {}}},
      {statement::kRollbackTo, {"ROLLBACK TO SAVEPOINT penstock_row", {}}},
      {statement::kReleaseOuter, {"RELEASE SAVEPOINT penstock_outer", {}}},
      {statement::kFence,
       {"SELECT penstock.advance($1, $2, $3, $4, $5, $6)",
        {postgres::oid::kText, postgres::oid::kTextArray, postgres::oid::kInt4Array,
         postgres::oid::kInt8Array, postgres::oid::kInt8Array, postgres::oid::kInt8Array}}},
      {statement::kDeadLetters,
       {"INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", \"timestamp\", "
        "key, value, headers, stage, reason, sqlstate, message) "
        "SELECT $1, * FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        {postgres::oid::kText, postgres::oid::kTextArray, postgres::oid::kInt4Array,
         postgres::oid::kInt8Array, postgres::oid::kTimestamptzArray, postgres::oid::kByteaArray,
         postgres::oid::kByteaArray, postgres::oid::kJsonbArray, postgres::oid::kTextArray,
         postgres::oid::kTextArray, postgres::oid::kTextArray, postgres::oid::kTextArray}}},
  });
  if (!prepared) add_schema_hint(prepared.error());
  return prepared;
}

postgres::Try<void> Session::read_array_types() {
  std::set<std::uint32_t> types;
  for (const TableDescription& table : options_.tables) {
    for (const ColumnDescription& column : table.columns) types.insert(column.type_oid);
  }
  std::string list;
  for (const std::uint32_t type : types) list += (list.empty() ? "" : ",") + std::to_string(type);
  auto reply = connection_->execute(
      "SELECT oid::bigint, typarray::bigint FROM pg_type WHERE typarray <> 0 AND oid = ANY ('{" +
      list + "}'::oid[])");
  if (!reply) return std::unexpected(std::move(reply.error()));
  for (int row = 0; row < reply->rows(); ++row) {
    array_types_[static_cast<std::uint32_t>(std::stoul(reply->string(row, 0)))] =
        static_cast<std::uint32_t>(std::stoul(reply->string(row, 1)));
  }
  return {};
}

postgres::Try<void> Session::prepare(
    const std::vector<std::pair<const char*, std::pair<std::string, std::vector<std::uint32_t>>>>&
        statements) {
  if (auto entered = connection_->enter_pipeline(); !entered) return entered;
  for (const auto& [name, statement] : statements) {
    if (auto sent = connection_->send_prepare(name, statement.first, statement.second); !sent) {
      return sent;
    }
  }
  if (auto sent = connection_->send_sync(); !sent) return sent;
  std::optional<postgres::Failure> failure;
  for (;;) {
    auto reply = connection_->next();
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->kind() == postgres::ReplyKind::sync) break;
    if (reply->kind() == postgres::ReplyKind::error) {
      if (!failure) failure = reply->failure();
      if (failure->connection_lost) return std::unexpected(std::move(*failure));
    }
  }
  connection_->leave_pipeline();
  if (failure) return std::unexpected(std::move(*failure));
  return {};
}

std::string Session::column_list(const Slice& slice) const {
  const TableDescription& table = options_.tables[slice.rows->table];
  std::string list;
  for (const std::uint16_t column : slice.shape->columns) {
    list += (list.empty() ? "" : ", ") + quote_identifier(table.columns[column].name);
  }
  return list;
}

std::string Session::copy_statement(const Slice& slice) const {
  return "COPY " + options_.tables[slice.rows->table].quoted_name() + " (" + column_list(slice) +
         ") FROM STDIN (FORMAT binary)";
}

postgres::Try<const Session::Insert*> Session::insert(const Slice& slice, bool many) {
  const TableDescription& table = options_.tables[slice.rows->table];
  for (const std::uint16_t column : slice.shape->columns) {
    many = many && !table.columns[column].is_array &&
           array_types_.contains(table.columns[column].type_oid);
  }
  many = many && !slice.shape->columns.empty();
  Key key{slice.rows->table, slice.shape->columns, many};
  if (const auto found = inserts_.find(key); found != inserts_.end()) return &found->second;

  Insert insert;
  insert.many = many;
  insert.name = "penstock_insert_" + std::to_string(inserts_.size());
  std::vector<std::uint32_t> types;
  std::string places;
  for (const std::uint16_t column : slice.shape->columns) {
    const std::uint32_t type = table.columns[column].type_oid;
    insert.element_types.push_back(type);
    types.push_back(many ? array_types_.at(type) : type);
    places += (places.empty() ? "$" : ", $") + std::to_string(types.size());
  }
  std::string sql = "INSERT INTO " + table.quoted_name();
  if (types.empty()) {
    sql += " DEFAULT VALUES";
  } else if (many) {
    sql += " (" + column_list(slice) + ") SELECT * FROM unnest(" + places + ")";
  } else {
    sql += " (" + column_list(slice) + ") VALUES (" + places + ")";
  }
  if (auto done = prepare({{insert.name.c_str(), {sql, types}}}); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return &inserts_.emplace(std::move(key), std::move(insert)).first->second;
}

postgres::Try<const char*> Session::type_check(const Slice& slice) {
  Key key{slice.rows->table, slice.shape->columns, false};
  if (const auto found = type_checks_.find(key); found != type_checks_.end()) {
    return found->second.c_str();
  }
  const TableDescription& table = options_.tables[slice.rows->table];
  std::string expected;
  for (const std::uint16_t column : slice.shape->columns) {
    expected += (expected.empty() ? "(" : ", (") + quote_literal(table.columns[column].name) +
                ", " + std::to_string(table.columns[column].type_oid) + ")";
  }
  // An integer that is none fails; no row, no failure. Domains are not followed here: rarely
  // changed.
  const std::string sql =
      "SELECT (SELECT 'column ' || e.name || ' is ' || format_type(a.atttypid, a.atttypmod) || ' "
      "now'"
      " FROM (VALUES " +
      expected + ") AS e(name, type) JOIN pg_attribute a ON a.attrelid = " +
      quote_literal(table.quoted_name()) +
      "::regclass AND a.attname = e.name "
      "JOIN pg_type t ON t.oid = a.atttypid "
      "WHERE a.atttypid <> e.type::oid AND t.typtype <> 'd' LIMIT 1)::int";
  std::string name = "penstock_types_" + std::to_string(type_checks_.size());
  if (auto done = prepare({{name.c_str(), {sql, {}}}}); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return type_checks_.emplace(std::move(key), std::move(name)).first->second.c_str();
}

}  // namespace penstock::write
