#include "postgres/catalog.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/log.h"
#include "postgres/catalog_columns.h"
#include "postgres/catalog_rules.h"
#include "postgres/connection.h"
#include "postgres/pool.h"
#include "postgres/pooler.h"
#include "text/nearest_names.h"

namespace penstock::postgres {
namespace {

constexpr int kOldestVersion = 140000;

// Something that a person must change, on their side or on the server's.
std::unexpected<Failure> refused(Error error) {
  Failure failure;
  failure.failure = FailureClass::configuration;
  failure.error = std::move(error);
  return std::unexpected(std::move(failure));
}
std::unexpected<Failure> refused(ErrorKind kind, std::string message, std::string hint,
                                 std::string sqlstate = {}) {
  return refused(Error{kind, std::move(message), std::move(hint), std::move(sqlstate)});
}

// Runs `body` with a connection of the pool.
template <typename Body>
auto ask(Pool& pool, const std::stop_token& stop, std::chrono::milliseconds limit, Body body)
    -> Result<typename std::invoke_result_t<Body, Connection&>::value_type> {
  return pool.with_connection(stop, limit, std::move(body)).transform_error([](Failure failure) {
    return std::move(failure.error);
  });
}

constexpr const char* kRelation = R"sql(
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind, c.relpersistence, row_security_active(c.oid),
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '3'),
       EXISTS (SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class f ON f.oid = p.relid
               WHERE f.relkind = 'f'),
       current_user, c.relkind = 'p' AND NOT EXISTS (SELECT FROM pg_inherits i
                                                     WHERE i.inhparent = c.oid),
       (SELECT string_agg(DISTINCT f.oid::regprocedure::text, ', ')
        FROM pg_depend d JOIN pg_proc f ON f.oid = d.refobjid
        WHERE d.refclassid = 'pg_proc'::regclass::oid AND NOT has_function_privilege(f.oid, 'EXECUTE')
          AND (d.classid = 'pg_constraint'::regclass::oid AND d.objid IN (
                 SELECT k.oid FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
               OR d.classid = 'pg_class'::regclass::oid AND d.objid IN (
                 SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid)))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1::oid)sql";

// By the role's own search_path, which is not the session's (pool.h): nothing in it but names of
// pg_catalog's.
constexpr const char* kOwnPath = "SET LOCAL search_path TO DEFAULT";
constexpr const char* kFind =
    "SELECT coalesce(pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.int8, 0)";
constexpr const char* kOurPath = "SET LOCAL search_path = pg_catalog, pg_temp";

// A row of the catalog has another xmin after each change, and a later one; of types only those
// that PostgreSQL did not bring are looked at, and what they are made of: a domain may be given a
// DEFAULT or a NOT NULL, a composite type another attribute. What changes a table without changing
// its columns (VACUUM FULL, TRUNCATE, grants, a new partition) is left out. A rule that is gone
// again leaves relhasrules behind: an INSERT that it has swallowed holds no lock.
constexpr const char* kVersion = R"sql(
(SELECT pg_catalog.concat_ws(' ', c.oid, c.relkind, c.relrowsecurity, c.relnatts,
  (SELECT pg_catalog.sum(a.xmin::pg_catalog.text::pg_catalog.int8
    OPERATOR(pg_catalog.+) CASE WHEN a.atttypid OPERATOR(pg_catalog.<) 16384 THEN 0 ELSE
     (WITH RECURSIVE types AS (
        SELECT t.xmin::pg_catalog.text::pg_catalog.int8 AS changed, t.typbasetype, t.typelem,
               t.typrelid, t.oid AS id
        FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) a.atttypid
        UNION ALL
        SELECT part.changed OPERATOR(pg_catalog.+)
                 coalesce(t.xmin::pg_catalog.text::pg_catalog.int8, 0),
               t.typbasetype, t.typelem, t.typrelid, t.oid
        FROM types, LATERAL (
          SELECT 0::pg_catalog.int8 AS changed, types.typbasetype AS type
          UNION ALL SELECT 0, types.typelem
          UNION ALL SELECT b.xmin::pg_catalog.text::pg_catalog.int8, b.atttypid
          FROM pg_catalog.pg_attribute b
          WHERE b.attrelid OPERATOR(pg_catalog.=) types.typrelid
            AND b.attnum OPERATOR(pg_catalog.>) 0) part
        LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) part.type
          AND t.oid OPERATOR(pg_catalog.>=) 16384
        WHERE t.oid IS NOT NULL OR part.changed OPERATOR(pg_catalog.<>) 0)
      SELECT pg_catalog.sum(types.changed OPERATOR(pg_catalog.+) coalesce((
        SELECT pg_catalog.sum(l.xmin::pg_catalog.text::pg_catalog.int8)::pg_catalog.int8
        FROM pg_catalog.pg_enum l WHERE l.enumtypid OPERATOR(pg_catalog.=) types.id), 0))
      FROM types) END)
   FROM pg_catalog.pg_attribute a
   WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0),
  CASE WHEN c.relhasrules THEN pg_catalog.concat_ws(' ', c.xmin,
   (SELECT pg_catalog.sum(r.xmin::pg_catalog.text::pg_catalog.int8) FROM pg_catalog.pg_rewrite r
    WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid)) END)
 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) )sql";

// Those of a partition are its table's.
constexpr const char* kForeignKeys = R"sql(
SELECT k.conname, n.nspname, c.relname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.conrelid = to_regclass($1) AND k.contype = 'f' AND k.conparentid = 0 AND NOT k.condeferred
ORDER BY k.conname)sql";

std::string_view relation_kind(char kind) {
  switch (kind) {
    case 'v':
      return "a view";
    case 'm':
      return "a materialized view";
    case 'f':
      return "a foreign table";
    case 'S':
      return "a sequence";
    case 'i':
    case 'I':
      return "an index";
    default:
      return "no table";
  }
}

Try<void> check_relation(const std::string& name, const Reply& row) {
  const char kind = row.text(0, 3).front();
  if (kind != 'r' && kind != 'p') {
    return refused(
        ErrorKind::invalid_argument,
        name + " is " + std::string(relation_kind(kind)) + ", and Penstock writes tables",
        kind == 'f' ? "rows behind a foreign table do not commit together with the position"
                    : "name the table behind it");
  }
  if (row.text(0, 1) == "penstock") {
    return refused(ErrorKind::invalid_argument,
                   name + " is in the schema penstock, which holds positions and dead letters",
                   "write to a table in a schema of your own");
  }
  if (row.is_true(0, 5)) {
    return refused(ErrorKind::invalid_argument,
                   "row-level security applies to " + name + " for role " + row.string(0, 8) +
                       ", and COPY does not work with it",
                   "ALTER ROLE " + quote_identifier(row.text(0, 8)) + " BYPASSRLS");
  }
  if (row.is_true(0, 6)) {
    return refused(ErrorKind::invalid_argument,
                   name + " has an ON INSERT rule, which COPY does not run",
                   "use a trigger instead of the rule");
  }
  if (row.is_true(0, 7)) {
    return refused(ErrorKind::invalid_argument, name + " has a partition that is a foreign table",
                   "rows behind a foreign table do not commit together with the position");
  }
  if (row.is_true(0, 9)) {
    return refused(ErrorKind::invalid_argument,
                   name + " is partitioned and has no partition, so that no row has a place",
                   "CREATE TABLE … PARTITION OF " + name + " …");
  }
  if (!row.is_null(0, 10)) {
    return refused(ErrorKind::permission_denied,
                   "role " + row.string(0, 8) + " lacks EXECUTE ON FUNCTION " + row.string(0, 10) +
                       ", which a CHECK or an index of " + name + " calls for every row",
                   "GRANT EXECUTE ON FUNCTION " + row.string(0, 10) + " TO " +
                       quote_identifier(row.text(0, 8)),
                   "42501");
  }
  if (row.text(0, 4) == "u") {
    log(LogLevel::warning, "table_is_unlogged",
        {{"table", name},
         {"meaning", "after a crash PostgreSQL empties it, and Penstock does not begin anew"}});
  }
  return {};
}

// The type's own name, its modifier and whether Penstock writes it.
Try<Error> no_such_table(Connection& connection, const std::string& table) {
  auto tables = connection.execute(
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relname "
      "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
      "WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' "
      "AND n.nspname NOT IN ('information_schema', 'penstock') ORDER BY 1 LIMIT 2000",
      {});
  if (!tables) return std::unexpected(std::move(tables.error()));
  std::vector<text::NamedCandidate> candidates;
  for (int row = 0; row < tables->rows(); ++row) {
    candidates.push_back({.shown = tables->string(row, 0), .compared = tables->string(row, 1)});
  }
  std::string hint = text::nearest_names(table.substr(table.rfind('.') + 1), candidates);
  hint = hint.empty() ? "create it first, or say create_table: true" : "did you mean " + hint + "?";
  return Error{ErrorKind::not_found, "there is no table " + table, std::move(hint), {}};
}

// A message of PostgreSQL's about a table that cannot even be looked up.
Failure lookup_failure(Failure failure, const std::string& table) {
  Error& error = failure.error;
  if (error.sqlstate == "42501") {
    error.kind = ErrorKind::permission_denied;
    error.hint = "GRANT USAGE ON SCHEMA " + table.substr(0, table.find('.')) +
                 " TO the role of the connection string";
  } else if (error.sqlstate == "42601" || error.sqlstate == "42602") {
    error.kind = ErrorKind::invalid_argument;
    error.message = "'" + table + "' is no table name: " + error.message;
    error.hint = R"(write table, schema.table or schema."Table With Capitals")";
  }
  return failure;
}

Try<std::vector<std::string>> read_primary_key(Connection& connection, const std::string& id) {
  auto rows = connection.execute(
      "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) "
      "JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = k.attnum "
      "WHERE i.indrelid = $1::oid AND i.indisprimary ORDER BY k.place",
      {id});
  if (!rows) return std::unexpected(std::move(rows.error()));
  std::vector<std::string> key;
  for (int row = 0; row < rows->rows(); ++row) key.push_back(rows->string(row, 0));
  return key;
}

Try<TableDescription> describe_on(Connection& connection, const std::string& table) {
  auto path = connection.execute(kOwnPath);
  if (!path) return std::unexpected(std::move(path.error()));
  auto found = connection.execute(kFind, {table});
  if (!found) return std::unexpected(lookup_failure(std::move(found.error()), table));
  path = connection.execute(kOurPath);
  if (!path) return std::unexpected(std::move(path.error()));
  auto relation = connection.execute(kRelation, {found->string(0, 0)});
  if (!relation) return std::unexpected(std::move(relation.error()));
  if (relation->rows() == 0) {
    auto error = no_such_table(connection, table);
    if (!error) return std::unexpected(std::move(error.error()));
    return refused(std::move(*error));
  }
  TableDescription description;
  description.schema = relation->string(0, 1);
  description.name = relation->string(0, 2);
  const std::string name = description.quoted_name();
  if (auto fit = check_relation(name, *relation); !fit) {
    return std::unexpected(std::move(fit.error()));
  }

  const std::string id = relation->string(0, 0);
  bool may_insert = false;
  auto columns = read_columns(connection, id, may_insert);
  if (!columns) return std::unexpected(std::move(columns.error()));
  description.columns = std::move(*columns);
  if (!may_insert) {
    return refused(ErrorKind::permission_denied,
                   "role " + relation->string(0, 8) + " may not INSERT into " + name,
                   "GRANT INSERT ON " + name + " TO " + quote_identifier(relation->text(0, 8)),
                   "42501");
  }
  auto key = read_primary_key(connection, id);
  if (!key) return std::unexpected(std::move(key.error()));
  description.primary_key = std::move(*key);
  auto version = connection.execute("SELECT " + table_version_sql("$1::oid"), {id});
  if (!version) return std::unexpected(std::move(version.error()));
  description.version = version->string(0, 0);
  if (auto read = read_rules(connection, id, description); !read) {
    return std::unexpected(std::move(read.error()));
  }
  if (auto read = read_constant_defaults(connection, id, description.columns); !read) {
    return std::unexpected(std::move(read.error()));
  }
  return description;
}

Try<ServerDescription> check_on(Connection& connection, const Pool::Options& options) {
  auto row = connection.execute(
      "SELECT current_database(), current_user, current_setting('server_encoding'), "
      "pg_is_in_recovery(), current_setting('transaction_read_only')::boolean, "
      "has_function_privilege('pg_control_system()', 'EXECUTE')",
      {});
  if (!row) return std::unexpected(std::move(row.error()));
  ServerDescription server{.version = connection.server_version(),
                           .host = connection.host(),
                           .port = connection.port(),
                           .database = row->string(0, 0),
                           .user = row->string(0, 1),
                           .system_identifier = {}};
  if (server.version < kOldestVersion) {
    return refused(ErrorKind::invalid_argument,
                   "this is PostgreSQL " + connection.parameter("server_version"),
                   "Penstock needs PostgreSQL 14 or later");
  }
  if (row->text(0, 2) != "UTF8") {
    return refused(ErrorKind::invalid_argument,
                   "database " + server.database + " has the encoding " + row->string(0, 2),
                   "Penstock needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0");
  }
  if (row->is_true(0, 3) || row->is_true(0, 4)) {
    return refused(ErrorKind::unavailable,
                   row->is_true(0, 3) ? "this server is a standby" : "this session is read-only",
                   "name the primary, or take default_transaction_read_only off", "25006");
  }
  auto behind = is_behind_pooler(connection, options.conninfo, options.application_name);
  if (!behind) return std::unexpected(std::move(behind.error()));
  server.behind_pooler = *behind;
  if (row->is_true(0, 5)) {
    if (auto id = connection.execute("SELECT system_identifier FROM pg_control_system()")) {
      server.system_identifier = id->string(0, 0);
    }
  }
  return server;
}

}  // namespace

std::string table_version_sql(const std::string& regclass) { return kVersion + regclass + ")"; }

Result<ServerDescription> check_server(Pool& pool, const std::stop_token& stop,
                                       std::chrono::milliseconds limit) {
  return ask(pool, stop, limit,
             [&](Connection& connection) { return check_on(connection, pool.options()); });
}

Result<TableDescription> describe_table(Pool& pool, const std::string& table,
                                        const std::stop_token& stop,
                                        std::chrono::milliseconds limit) {
  return ask(pool, stop, limit, [&](Connection& connection) -> Try<TableDescription> {
    if (auto begun = connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        !begun) {
      return std::unexpected(std::move(begun.error()));
    }
    auto description = describe_on(connection, table);
    static_cast<void>(connection.execute("ROLLBACK"));  // if it fails, nobody uses it again
    return description;
  });
}

Result<std::vector<ForeignKey>> foreign_keys_of(Pool& pool, const TableDescription& table,
                                                const std::stop_token& stop,
                                                std::chrono::milliseconds limit) {
  return ask(pool, stop, limit, [&](Connection& connection) -> Try<std::vector<ForeignKey>> {
    auto rows = connection.execute(kForeignKeys, {table.quoted_name()});
    if (!rows) return std::unexpected(std::move(rows.error()));
    std::vector<ForeignKey> keys;
    for (int row = 0; row < rows->rows(); ++row) {
      keys.push_back({rows->string(row, 0), rows->string(row, 1), rows->string(row, 2)});
    }
    return keys;
  });
}

}  // namespace penstock::postgres
