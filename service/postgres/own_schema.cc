#include "postgres/own_schema.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace penstock::postgres {
namespace {

// Each row: what is wrong, and the statement that cures it. By ids: without USAGE nobody may ask by
// name.
constexpr const char* kFaults = R"sql(
WITH ours AS (SELECT n.oid FROM pg_catalog.pg_namespace n
              WHERE n.nspname OPERATOR(pg_catalog.=) 'penstock'),
needs AS (SELECT * FROM (VALUES
  (1, 'SELECT', 'schema_migrations'), (2, 'SELECT', 'offsets'), (3, 'INSERT', 'offsets'),
  (4, 'UPDATE', 'offsets'), (5, 'SELECT', 'pipelines'), (6, 'INSERT', 'pipelines'),
  (7, 'UPDATE', 'pipelines'), (8, 'INSERT', 'dead_letters')) AS n(number, privilege, name)),
tables AS (SELECT c.oid, c.relname AS name FROM pg_catalog.pg_class c JOIN ours
             ON c.relnamespace OPERATOR(pg_catalog.=) ours.oid
           WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[])),
functions AS (SELECT * FROM (VALUES ('advance'), ('newest_dead_letter')) AS f(name)),
role AS (SELECT pg_catalog.quote_ident(current_user) AS name),
faults AS (
  SELECT 'gone' AS kind, 'penstock.' OPERATOR(pg_catalog.||) w.name AS what
  FROM (VALUES ('offsets'), ('pipelines'), ('dead_letters')) AS w(name)
  WHERE NOT EXISTS (SELECT FROM tables WHERE tables.name OPERATOR(pg_catalog.=) w.name)
  UNION ALL
  SELECT 'gone', pg_catalog.concat('penstock.', w.name, '()') FROM functions w WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc p JOIN ours ON p.pronamespace OPERATOR(pg_catalog.=) ours.oid
    WHERE p.proname OPERATOR(pg_catalog.=) w.name)
  UNION ALL
  SELECT 'grant', 'USAGE ON SCHEMA penstock' FROM ours
  WHERE NOT pg_catalog.has_schema_privilege(ours.oid, 'USAGE')
  UNION ALL
  (SELECT 'grant', pg_catalog.concat(needs.privilege, ' ON penstock.', needs.name)
   FROM needs JOIN tables ON tables.name OPERATOR(pg_catalog.=) needs.name
   WHERE NOT pg_catalog.has_table_privilege(tables.oid, needs.privilege) ORDER BY needs.number)
  UNION ALL
  SELECT 'grant', 'EXECUTE ON FUNCTION ' OPERATOR(pg_catalog.||)
                    p.oid::pg_catalog.regprocedure::pg_catalog.text
  FROM pg_catalog.pg_proc p JOIN ours ON p.pronamespace OPERATOR(pg_catalog.=) ours.oid
    JOIN functions w ON p.proname OPERATOR(pg_catalog.=) w.name
  WHERE NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
  UNION ALL
  SELECT 'security', 'penstock.' OPERATOR(pg_catalog.||) tables.name FROM tables
  WHERE pg_catalog.row_security_active(tables.oid)
  UNION ALL
  SELECT 'rule', pg_catalog.format('%I ON penstock.%I', r.rulename, tables.name)
  FROM tables JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) tables.oid)
SELECT f.kind, pg_catalog.string_agg(f.what, E'\n'), role.name FROM faults f, role
WHERE EXISTS (SELECT FROM ours) GROUP BY f.kind, role.name
ORDER BY pg_catalog.array_position(ARRAY['gone', 'grant', 'security', 'rule'], f.kind))sql";

constexpr const char* kSwallowers = R"sql(
WITH t AS (SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS id)
SELECT pg_catalog.string_agg(s.name, ', ') FROM t, LATERAL (
  SELECT pg_catalog.concat('the trigger ', g.tgname) AS name FROM pg_catalog.pg_trigger g
  WHERE g.tgrelid OPERATOR(pg_catalog.=) t.id AND NOT g.tgisinternal
    AND g.tgenabled OPERATOR(pg_catalog.<>) 'D'
    AND (g.tgtype OPERATOR(pg_catalog.&) 3::pg_catalog.int2) OPERATOR(pg_catalog.=) 3
  UNION ALL
  SELECT pg_catalog.concat('the rule ', r.rulename) FROM pg_catalog.pg_rewrite r
  WHERE r.ev_class OPERATOR(pg_catalog.=) t.id
  UNION ALL
  SELECT 'row-level security' WHERE pg_catalog.row_security_active(t.id)) AS s)sql";

// Its lines, each after `before`, with `between` them.
std::string joined(std::string_view lines, const std::string& before, const std::string& after,
                   const std::string& between) {
  std::string text;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    text += (text.empty() ? "" : between) + before + std::string(lines.substr(0, end)) + after;
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return text;
}

Error error_of(const Reply& faults) {
  const std::string_view kind = faults.text(0, 0);
  const std::string_view what = faults.text(0, 1);
  const std::string role = faults.string(0, 2);
  if (kind == "gone") {
    return {ErrorKind::not_found,
            "there is no " + joined(what, "", "", " and no "),
            "if somebody has renamed or dropped it, give it its name back or restore it from a "
            "backup: `penstock migrate up` makes what is not there yet, once",
            {}};
  }
  if (kind == "grant") {
    return {ErrorKind::permission_denied,
            "role " + role + " lacks " + joined(what, "", "", ", "),
            joined(what, "GRANT ", " TO " + role, "; "),
            {}};
  }
  if (kind == "security") {
    return {ErrorKind::conflict,
            "row-level security applies to " + joined(what, "", "", ", ") + " for role " + role +
                ", so that rows of it are hidden or refused",
            joined(what, "ALTER TABLE ", " DISABLE ROW LEVEL SECURITY", "; ") + "; or ALTER ROLE " +
                role + " BYPASSRLS",
            {}};
  }
  return {ErrorKind::conflict,
          "there is the rule " + joined(what, "", "", ", ") +
              ", and Penstock's own tables must have none",
          joined(what, "DROP RULE ", "", "; "),
          {}};
}

Try<std::optional<Error>> find_fault(Connection& connection) {
  auto faults = connection.execute(kFaults, {});
  if (!faults) return std::unexpected(std::move(faults.error()));
  if (faults->rows() == 0) return std::nullopt;
  return error_of(*faults);
}

}  // namespace

Try<void> check_own_schema(Connection& connection) {
  auto fault = find_fault(connection);
  if (!fault) return std::unexpected(std::move(fault.error()));
  if (!*fault) return {};
  Failure failure;
  failure.failure = FailureClass::configuration;
  failure.error = **std::move(fault);
  return std::unexpected(std::move(failure));
}

void explain(Connection& connection, Failure& failure) {
  const bool may_be_it = failure.failure == FailureClass::configuration &&
                         !failure.connection_lost && !failure.error.sqlstate.empty();
  if (!may_be_it || !connection.execute("ROLLBACK")) return;
  auto fault = find_fault(connection);
  if (!fault || !*fault) return;
  (*fault)->sqlstate = std::move(failure.error.sqlstate);
  failure.error = **std::move(fault);
}

Try<std::string> swallowers_of(Connection& connection, const std::string& table) {
  auto found = connection.execute(kSwallowers, {table});
  if (!found) return std::unexpected(std::move(found.error()));
  return found->string(0, 0);
}

Failure not_written(Connection& connection, const std::string& table) {
  const std::string name = "penstock." + table;
  auto swallowers = swallowers_of(connection, name);
  if (!swallowers) return std::move(swallowers.error());
  Failure failure;
  failure.failure = FailureClass::configuration;
  failure.error = {ErrorKind::conflict,
                   "rows that are written to " + name + " are not there then: it has " +
                       (swallowers->empty() ? "nothing that would say why" : *swallowers),
                   "Penstock's own tables must keep what it writes: take out what makes nothing of "
                   "a row (DROP TRIGGER … ON " +
                       name + ")",
                   {}};
  return failure;
}

}  // namespace penstock::postgres
