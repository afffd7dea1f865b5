#include "postgres/catalog_rules.h"

#include <utility>

#include "postgres/catalog.h"
#include "postgres/catalog_columns.h"

namespace penstock::postgres {
namespace {

// What a table says of rows beside their columns, in the way of table_version_sql().
constexpr const char* kRulesVersion = R"sql(
(SELECT pg_catalog.concat_ws(' ',
  (SELECT pg_catalog.sum(x.xmin::pg_catalog.text::pg_catalog.int8) FROM pg_catalog.pg_index x
   WHERE x.indrelid OPERATOR(pg_catalog.=) t.id),
  (SELECT pg_catalog.sum(k.xmin::pg_catalog.text::pg_catalog.int8) FROM pg_catalog.pg_constraint k
   WHERE k.conrelid OPERATOR(pg_catalog.=) t.id),
  (SELECT pg_catalog.sum(g.xmin::pg_catalog.text::pg_catalog.int8) FROM pg_catalog.pg_trigger g
   WHERE g.tgrelid OPERATOR(pg_catalog.=) t.id),
  (SELECT pg_catalog.sum(h.xmin::pg_catalog.text::pg_catalog.int8)
   FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c
     ON c.oid OPERATOR(pg_catalog.=) h.inhparent
   WHERE h.inhparent OPERATOR(pg_catalog.=) t.id AND c.relkind OPERATOR(pg_catalog.=) 'r'))
 FROM (SELECT )sql";

// What ON CONFLICT (columns) cannot mean is unfit. Columns, and not only the equality of their
// types, decide whether two rows are one: the index has to use what `=` and ORDER BY do.
constexpr const char* kUniqueIndexes = R"sql(
SELECT x.relname,
       (SELECT string_agg(a.attname, E'\n' ORDER BY k.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.place <= i.indnkeyatts),
       CASE WHEN NOT i.indisvalid THEN 'is not valid'
            WHEN i.indisexclusion THEN 'is one of an exclusion constraint'
            WHEN NOT i.indimmediate THEN 'is deferrable'
            WHEN i.indpred IS NOT NULL THEN 'is partial'
            WHEN i.indexprs IS NOT NULL THEN 'is on an expression'
            WHEN EXISTS (SELECT FROM unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[])
                           WITH ORDINALITY AS k(number, collation_id, class, place)
                         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                         JOIN pg_opclass o ON o.oid = k.class
                         WHERE k.place <= i.indnkeyatts
                           AND (k.collation_id <> a.attcollation OR NOT o.opcdefault))
            THEN 'has a collation or an operator class of its own' ELSE '' END
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = $1::oid AND i.indisunique AND i.indislive
ORDER BY i.indisprimary DESC, x.relname)sql";

// What else looks at a row: a partition may have rules of its own.
constexpr const char* kRowRule = R"sql(
WITH part AS (SELECT $1::oid AS id, true AS is_table
              UNION SELECT p.relid, p.relid = $1::oid FROM pg_partition_tree($1::oid) p)
SELECT concat('the ', rule.kind, ' ', rule.name) FROM part, LATERAL (
  SELECT 1 AS place, 'trigger' AS kind, g.tgname AS name FROM pg_trigger g
  WHERE g.tgrelid = part.id AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 1 = 1
  UNION ALL
  SELECT 2, CASE k.contype WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'CHECK of a partition'
            ELSE 'exclusion constraint' END, k.conname
  FROM pg_constraint k
  WHERE k.conrelid = part.id AND (k.contype IN ('f', 'x')
                                  OR k.contype = 'c' AND NOT part.is_table AND k.coninhcount = 0)
  UNION ALL
  SELECT 3, 'unique index of a partition', x.relname FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = part.id AND i.indisunique AND NOT part.is_table
    AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
  UNION ALL
  SELECT 4, 'bounds of the partition', c.relname FROM pg_class c
  WHERE c.oid = part.id AND part.is_table AND c.relispartition
) rule ORDER BY rule.place, rule.name LIMIT 1)sql";

constexpr const char* kRulesAndRights = R"sql(
SELECT has_table_privilege($1::oid, 'SELECT'), has_table_privilege($1::oid, 'UPDATE'),
       has_table_privilege($1::oid, 'DELETE'), has_database_privilege(current_database(), 'TEMPORARY'),
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = $1::oid AND r.ev_type = '2'),
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = $1::oid AND r.ev_type = '4'),
       EXISTS (SELECT FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent
               WHERE c.oid = $1::oid AND c.relkind = 'r'))sql";

}  // namespace

Try<void> read_rules(Connection& connection, const std::string& id, TableDescription& table) {
  auto indexes = connection.execute(kUniqueIndexes, {id});
  if (!indexes) return std::unexpected(std::move(indexes.error()));
  for (int row = 0; row < indexes->rows(); ++row) {
    UniqueIndex& index = table.unique_indexes.emplace_back();
    index.name = indexes->string(row, 0);
    index.columns = lines_of(indexes->text(row, 1));
    index.unfit = indexes->string(row, 2);
  }
  auto rule = connection.execute(kRowRule, {id});
  if (!rule) return std::unexpected(std::move(rule.error()));
  if (rule->rows() > 0) table.row_rule = rule->string(0, 0);
  auto rights = connection.execute(kRulesAndRights, {id});
  if (!rights) return std::unexpected(std::move(rights.error()));
  table.may_select = rights->is_true(0, 0);
  table.may_update = rights->is_true(0, 1);
  table.may_delete = rights->is_true(0, 2);
  table.may_make_temporary = rights->is_true(0, 3);
  table.has_update_rule = rights->is_true(0, 4);
  table.has_delete_rule = rights->is_true(0, 5);
  table.has_heirs = rights->is_true(0, 6);
  auto version = connection.execute("SELECT " + table_rules_version_sql("$1::oid"), {id});
  if (!version) return std::unexpected(std::move(version.error()));
  table.rules_version = version->string(0, 0);
  return {};
}

std::string table_rules_version_sql(const std::string& regclass) {
  return kRulesVersion + regclass + "::pg_catalog.oid AS id) AS t)";
}

}  // namespace penstock::postgres
