#include "postgres/table_ddl.h"

#include <algorithm>
#include <format>
#include <optional>
#include <utility>

#include "core/log.h"
#include "postgres/connection.h"
#include "postgres/pool.h"

namespace penstock::postgres {
namespace {

// Whoever waits for a lock on a table holds up all who come after it.
constexpr const char* kLockTimeout = "SET LOCAL lock_timeout = '2s'";

// By the role's own search_path, as in catalog.cc.
constexpr const char* kOwnPath = "SET LOCAL search_path TO DEFAULT";
constexpr const char* kOurPath = "SET LOCAL search_path = pg_catalog, pg_temp";
constexpr const char* kFind =
    "SELECT coalesce(pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.int8, 0), "
    "pg_catalog.current_schema()";
constexpr const char* kFindType =
    "SELECT t.oid::pg_catalog.int8, t.typtype FROM pg_catalog.pg_type t "
    "WHERE t.oid OPERATOR(pg_catalog.=) pg_catalog.to_regtype($1)::pg_catalog.oid";

constexpr const char* kParts =
    "SELECT cardinality(parts), parts[1], parts[2] FROM parse_ident($1) AS name(parts)";
constexpr const char* kSchema =
    "SELECT has_schema_privilege(n.oid, 'CREATE'), current_user FROM pg_namespace n "
    "WHERE n.nspname = $1";
constexpr const char* kTable =
    "SELECT n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE'), "
    "pg_get_userbyid(c.relowner), current_user, c.relkind IN ('r', 'p') "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid";
constexpr const char* kColumns =
    "SELECT a.attname FROM pg_attribute a "
    "WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped";

std::unexpected<Failure> refused(ErrorKind kind, std::string message, std::string hint,
                                 std::string sqlstate = {}) {
  Failure failure;
  failure.failure = FailureClass::configuration;
  failure.error = Error{kind, std::move(message), std::move(hint), std::move(sqlstate)};
  return std::unexpected(std::move(failure));
}

// Runs `body` in a transaction, of which something stays if `ddl` says so.
template <typename Body>
auto in_transaction(Pool& pool, Ddl ddl, const std::stop_token& stop,
                    std::chrono::milliseconds limit, Body body)
    -> Result<typename std::invoke_result_t<Body, Connection&>::value_type> {
  using Answer = std::invoke_result_t<Body, Connection&>;
  return pool
      .with_connection(stop, limit,
                       [&](Connection& connection) -> Answer {
                         auto begun = connection.execute(
                             ddl == Ddl::run ? "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
                                             : "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY");
                         if (!begun) return std::unexpected(std::move(begun.error()));
                         Answer answer = body(connection);
                         const bool stays = answer && ddl == Ddl::run;
                         auto ended = connection.execute(stays ? "COMMIT" : "ROLLBACK");
                         if (stays && !ended) return std::unexpected(std::move(ended.error()));
                         return answer;
                       })
      .transform_error([](Failure failure) { return std::move(failure.error); });
}

std::string column_list(std::span<const DeclaredColumn> columns, std::string_view before) {
  std::string list;
  for (const DeclaredColumn& column : columns) {
    list += std::format("{}{}{} {}", list.empty() ? "" : ", ", before,
                        quote_identifier(column.name), column.type);
  }
  return list;
}

bool is_ours(const Failure& failure) {
  return !failure.connection_lost && failure.failure != FailureClass::cancelled;
}

// What PostgreSQL says of a text that is no type, in all its ways.
Failure no_type(Failure failure, const std::string& text) {
  if (!is_ours(failure) || failure.failure == FailureClass::retry) return failure;
  Error& error = failure.error;
  error.kind = ErrorKind::invalid_argument;
  error.message = std::format("'{}' is no type: {}", text, error.message);
  if (error.hint.empty()) error.hint = "such as bigint, numeric(12,2), text[] or timestamptz";
  return failure;
}

Try<std::string> read_type_on(Connection& connection, const std::string& text) {
  const auto fail = [&](Failure failure) {
    return std::unexpected(no_type(std::move(failure), text));
  };
  auto path = connection.execute(kOwnPath);
  if (!path) return fail(std::move(path.error()));
  // It takes nothing but exactly one type.
  auto found = connection.execute(kFindType, {text});
  if (!found) return fail(std::move(found.error()));
  if (found->rows() == 0) {
    return refused(ErrorKind::invalid_argument, std::format("PostgreSQL has no type '{}'", text),
                   "such as bigint, numeric(12,2), text[] or timestamptz");
  }
  const char kind = found->text(0, 1).front();
  if (kind == 'p') {
    return refused(ErrorKind::invalid_argument,
                   std::format("'{}' is no type that a column can have", text),
                   "such as bigint, numeric(12,2), text[] or timestamptz");
  }
  std::string type = found->string(0, 0);
  std::string modifier = "-1";
  // A domain has no modifier, and PostgreSQL would tell of its base type here. The line ends, so
  // that a comment does.
  if (kind != 'd') {
    auto typed = connection.execute("SELECT NULL::" + text + "\nWHERE false", {});
    if (!typed) return fail(std::move(typed.error()));
    type = std::to_string(typed->type_oid(0));
    modifier = std::to_string(typed->type_modifier(0));
  }
  path = connection.execute(kOurPath);
  if (!path) return fail(std::move(path.error()));
  auto name = connection.execute("SELECT format_type($1::oid, $2::int4)", {type, modifier});
  if (!name) return fail(std::move(name.error()));
  return name->string(0, 0);
}

// Where a table is, or is to be.
struct Place {
  std::string id;  // "0": there is none
  std::string schema;
  std::string name;
};

Try<Place> find_place(Connection& connection, const std::string& table) {
  auto path = connection.execute(kOwnPath);
  if (!path) return std::unexpected(std::move(path.error()));
  auto found = connection.execute(kFind, {table});
  if (!found) return std::unexpected(std::move(found.error()));
  path = connection.execute(kOurPath);
  if (!path) return std::unexpected(std::move(path.error()));
  Place place{.id = found->string(0, 0), .schema = found->string(0, 1), .name = {}};
  auto parts = connection.execute(kParts, {table});
  if (!parts) return std::unexpected(std::move(parts.error()));
  if (parts->text(0, 0) == "1") {
    place.name = parts->string(0, 1);
    if (place.schema.empty()) {
      return refused(ErrorKind::not_found,
                     "no schema of the role's search_path is there to make " + table + " in",
                     "name the schema: \"schema.table\"");
    }
  } else if (parts->text(0, 0) == "2") {
    place.schema = parts->string(0, 1);
    place.name = parts->string(0, 2);
  } else {
    return refused(ErrorKind::invalid_argument, "'" + table + "' is no table name",
                   "\"table\" or \"schema.table\"");
  }
  return place;
}

std::string or_have_run(const std::string& statement) {
  return ", or have it done by somebody who may: " + statement;
}

// The statement that makes it.
Try<std::string> creation(Connection& connection, const Place& place,
                          const DeclaredTable& declared) {
  const bool is_systems = place.schema.starts_with("pg_") || place.schema == "penstock" ||
                          place.schema == "information_schema";
  if (is_systems) {
    return refused(ErrorKind::invalid_argument,
                   "no table is made in the schema " + quote_identifier(place.schema),
                   "name a schema of your own: \"schema.table\"");
  }
  std::string statement = create_table_sql(place.schema, place.name, declared);
  auto schema = connection.execute(kSchema, {place.schema});
  if (!schema) return std::unexpected(std::move(schema.error()));
  if (schema->rows() == 0) {
    return refused(ErrorKind::not_found,
                   "there is no schema " + quote_identifier(place.schema) + " to make the table in",
                   "CREATE SCHEMA " + quote_identifier(place.schema) +
                       "; Penstock makes tables, and no schemas");
  }
  if (!schema->is_true(0, 0)) {
    return refused(ErrorKind::permission_denied,
                   std::format("role {} may not make a table in schema {}", schema->string(0, 1),
                               quote_identifier(place.schema)),
                   std::format("GRANT CREATE ON SCHEMA {} TO {}", quote_identifier(place.schema),
                               quote_identifier(schema->text(0, 1))) +
                       or_have_run(statement),
                   "42501");
  }
  return statement;
}

// The statement that adds to it what is lacking, if anything is.
Try<std::string> addition(Connection& connection, const Place& place,
                          const DeclaredTable& declared) {
  auto table = connection.execute(kTable, {place.id});
  if (!table) return std::unexpected(std::move(table.error()));
  if (table->rows() == 0 || !table->is_true(0, 5)) return std::string();  // said elsewhere
  auto names = connection.execute(kColumns, {place.id});
  if (!names) return std::unexpected(std::move(names.error()));
  TableDescription there{
      .schema = table->string(0, 0), .name = table->string(0, 1), .columns = {}, .primary_key = {}};
  for (int row = 0; row < names->rows(); ++row) {
    there.columns.emplace_back().name = names->string(row, 0);
  }
  const std::vector<DeclaredColumn> lacking = lacking_columns(declared, there);
  if (lacking.empty()) return std::string();
  std::string statement = add_columns_sql(there.schema, there.name, lacking);
  if (!table->is_true(0, 2)) {
    return refused(ErrorKind::permission_denied,
                   std::format("role {} may not add columns to {}, which belongs to {}",
                               table->string(0, 4), there.quoted_name(), table->string(0, 3)),
                   std::format("GRANT {} TO {}", quote_identifier(table->text(0, 3)),
                               quote_identifier(table->text(0, 4))) +
                       or_have_run(statement),
                   "42501");
  }
  return statement;
}

Failure of_statement(Failure failure, const std::string& statement) {
  if (!is_ours(failure)) return failure;
  Error& error = failure.error;
  if (waits_for_lock(error.sqlstate)) {
    error.kind = ErrorKind::deadline_exceeded;
    error.message = "somebody holds a lock that is needed to run: " + statement;
    error.hint = "it is tried again by itself";
  } else {
    error.message += "; it was to run: " + statement;
  }
  return failure;
}

Try<void> take_lock(Connection& connection) {
  if (auto set = connection.execute(kLockTimeout); !set) {
    return std::unexpected(std::move(set.error()));
  }
  auto taken = connection.execute("SELECT pg_advisory_xact_lock($1)", {std::to_string(kTableLock)});
  if (taken) return {};
  Failure& failure = taken.error();
  if (waits_for_lock(failure.error.sqlstate)) {
    failure.error.kind = ErrorKind::deadline_exceeded;
    failure.error.message = "another process makes or changes a table in this database just now";
    failure.error.hint = "it is tried again by itself";
  }
  return std::unexpected(std::move(failure));
}

}  // namespace

std::string create_table_sql(std::string_view schema, std::string_view name,
                             const DeclaredTable& table) {
  std::string key;
  for (const std::string& column : table.key) {
    key += (key.empty() ? ", PRIMARY KEY (" : ", ") + quote_identifier(column);
  }
  if (!key.empty()) key += ")";
  return std::format("CREATE TABLE {}.{} ({}{})", quote_identifier(schema), quote_identifier(name),
                     column_list(table.columns, ""), key);
}

std::string add_columns_sql(std::string_view schema, std::string_view name,
                            std::span<const DeclaredColumn> columns) {
  return std::format("ALTER TABLE {}.{} {}", quote_identifier(schema), quote_identifier(name),
                     column_list(columns, "ADD COLUMN "));
}

std::vector<DeclaredColumn> lacking_columns(const DeclaredTable& declared,
                                            const TableDescription& table) {
  std::vector<DeclaredColumn> lacking;
  if (!declared.add_columns) return lacking;
  for (const DeclaredColumn& column : declared.columns) {
    if (table.find_column(column.name) >= 0) continue;
    if (!std::ranges::contains(declared.key, column.name)) lacking.push_back(column);
  }
  return lacking;
}

Result<std::string> read_type(Pool& pool, const std::string& text, const std::stop_token& stop,
                              std::chrono::milliseconds limit) {
  return in_transaction(pool, Ddl::show, stop, limit,
                        [&](Connection& connection) { return read_type_on(connection, text); });
}

Result<std::string> make_table(Pool& pool, const std::string& table, const DeclaredTable& declared,
                               Ddl ddl, const std::stop_token& stop,
                               std::chrono::milliseconds limit) {
  auto made =
      in_transaction(pool, ddl, stop, limit, [&](Connection& connection) -> Try<std::string> {
        if (ddl == Ddl::run) {
          if (auto taken = take_lock(connection); !taken) {
            return std::unexpected(std::move(taken.error()));
          }
        }
        auto place = find_place(connection, table);
        if (!place) return std::unexpected(std::move(place.error()));
        const bool is_there = place->id != "0";
        if (!is_there && !declared.create) return std::string();
        auto statement = is_there ? addition(connection, *place, declared)
                                  : creation(connection, *place, declared);
        if (!statement || statement->empty() || ddl == Ddl::show) {
          return statement;
        }
        // One statement, whatever is in it.
        auto done = connection.execute(*statement, {});
        if (!done) {
          return std::unexpected(of_statement(std::move(done.error()), *statement));
        }
        return statement;
      });
  if (made && !made->empty() && ddl == Ddl::run) {
    log(LogLevel::info, "table_made", {{"table", table}, {"statement", *made}});
  }
  return made;
}

}  // namespace penstock::postgres
