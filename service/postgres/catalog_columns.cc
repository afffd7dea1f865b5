#include "postgres/catalog_columns.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "postgres/binary_array.h"

namespace penstock::postgres {
namespace {

struct TypeName {
  std::string_view name;
  ColumnType type;
};

constexpr std::array kTypes{
    TypeName{"bool", ColumnType::boolean},
    TypeName{"int2", ColumnType::int2},
    TypeName{"int4", ColumnType::int4},
    TypeName{"int8", ColumnType::int8},
    TypeName{"float4", ColumnType::float4},
    TypeName{"float8", ColumnType::float8},
    TypeName{"numeric", ColumnType::numeric},
    TypeName{"text", ColumnType::text},
    TypeName{"varchar", ColumnType::text},
    TypeName{"bpchar", ColumnType::text},
    TypeName{"name", ColumnType::text},
    TypeName{"citext", ColumnType::text},
    TypeName{"bytea", ColumnType::bytea},
    TypeName{"uuid", ColumnType::uuid},
    TypeName{"date", ColumnType::date},
    TypeName{"timestamp", ColumnType::timestamp},
    TypeName{"timestamptz", ColumnType::timestamptz},
    TypeName{"json", ColumnType::json},
    TypeName{"jsonb", ColumnType::jsonb},
    TypeName{"time", ColumnType::time},
    TypeName{"timetz", ColumnType::timetz},
    TypeName{"interval", ColumnType::interval},
    TypeName{"inet", ColumnType::inet},
    TypeName{"cidr", ColumnType::cidr},
    TypeName{"macaddr", ColumnType::macaddr},
    TypeName{"macaddr8", ColumnType::macaddr8},
    TypeName{"bit", ColumnType::bit},
    TypeName{"varbit", ColumnType::varbit},
    TypeName{"xml", ColumnType::xml},
    TypeName{"ltree", ColumnType::ltree},
    TypeName{"hstore", ColumnType::hstore},
};

// Domains are followed to their base type; an array is one whose element type says so (int2vector
// and its kin look like arrays, too).
constexpr const char* kColumns = R"sql(
WITH RECURSIVE base AS (
  SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier, a.attnotnull AND $2 AS not_null,
         false AS has_default
  FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.typbasetype, CASE b.modifier WHEN -1 THEN t.typtypmod ELSE b.modifier END,
         b.not_null OR t.typnotnull, b.has_default OR t.typdefault IS NOT NULL
  FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT a.attname, format_type(a.atttypid, a.atttypmod), b.type::bigint,
       CASE WHEN e.oid IS NULL THEN 0 ELSE e.oid::bigint END,
       coalesce(e.typname, t.typname), coalesce(e.typtype, t.typtype), b.modifier, b.not_null,
       (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' OR b.has_default,
       a.attgenerated <> '' OR a.attidentity = 'a',
       has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
       coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace::oid,
       t.typarray::bigint,
       (SELECT string_agg(DISTINCT CASE WHEN f.oid IS NULL
            THEN format('USAGE ON SEQUENCE %I.%I', n.nspname, s.relname)
            ELSE 'EXECUTE ON FUNCTION ' || f.oid::regprocedure::text END, E'\n')
        FROM pg_attrdef d JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass::oid
          AND p.objid = d.oid
        LEFT JOIN pg_class s ON p.refclassid = 'pg_class'::regclass::oid AND s.oid = p.refobjid
        LEFT JOIN pg_namespace n ON n.oid = s.relnamespace
        LEFT JOIN pg_proc f ON p.refclassid = 'pg_proc'::regclass::oid AND f.oid = p.refobjid
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
          AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE')
                   WHEN f.oid IS NOT NULL THEN NOT has_function_privilege(f.oid, 'EXECUTE')
                   ELSE false END),
       (SELECT string_agg(l.enumlabel, E'\n' ORDER BY l.enumsortorder) FROM pg_enum l
        WHERE l.enumtypid = coalesce(e.oid, t.oid)),
       a.atttypid::bigint, coalesce(e.typrelid, t.typrelid)::bigint, coalesce(e.typdelim, ','),
       coalesce(e.typtype, t.typtype) <> 'b' OR EXISTS (
         SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
         WHERE m.amname = 'btree' AND o.opcdefault
           AND (o.opcintype = coalesce(e.oid, t.oid)
                OR EXISTS (SELECT FROM pg_cast k
                           WHERE k.castsource = coalesce(e.oid, t.oid) AND k.casttarget = o.opcintype
                             AND k.castmethod = 'b' AND k.castcontext = 'i')))
FROM pg_attribute a
JOIN base b ON b.attnum = a.attnum
JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum)sql";

// Defaults that always come to the same: constants, and functions and operators of PostgreSQL's own
// that are immutable; with an expression of their bytes in the binary format. A column of a domain
// may have the domain's default, and an enum's label another name, whose change nobody would
// notice, also within a composite. Naming a column takes a privilege that leaving it out does not.
// The texts of constants are numbers in adbin.
constexpr const char* kConstantDefaults = R"sql(
SELECT a.attname, pg_get_expr(d.adbin, d.adrelid), t.typsend,
       format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a
JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type e ON e.oid = t.typelem
WHERE a.attrelid = $1::oid AND NOT a.attisdropped AND a.attgenerated = ''
  AND t.typsend <> 0 AND NOT ARRAY[t.typtype, coalesce(e.typtype, 'b')] && '{e,c}'::"char"[]
  AND has_column_privilege(a.attrelid, a.attnum, 'INSERT')
  AND NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, '[{]([A-Z]+)', 'g') AS node
                  WHERE node[1] NOT IN ('CONST', 'FUNCEXPR', 'OPEXPR', 'RELABELTYPE', 'ARRAY',
                                        'ARRAYEXPR'))
  AND NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid ([0-9]+)', 'g') AS used
                  WHERE used[1]::oid >= 16384
                     OR (SELECT p.provolatile FROM pg_proc p WHERE p.oid = used[1]::oid)
                        IS DISTINCT FROM 'i'))sql";

// What a type is, or the base type of a domain.
struct TypeFacts {
  std::string_view name;
  char kind = 'b';  // pg_type.typtype
  bool is_builtin = false;
  int modifier = -1;
};

// What else than a string says a value of a type without an encoder.
TextForm text_form_of(const TypeFacts& type) {
  // Numbers, or numbers as well as names. Not `money`, which reads a point as its locale says.
  constexpr std::array kNumbers{std::string_view("oid"), std::string_view("xid"),
                                std::string_view("xid8"), std::string_view("cid")};
  if (type.kind == 'r') return TextForm::range;
  if (type.kind == 'm') return TextForm::multirange;
  if (type.kind != 'b') return TextForm::plain;
  if (!type.is_builtin) return TextForm::document;
  const bool is_number =
      std::ranges::contains(kNumbers, type.name) || (type.name.starts_with("reg"));
  return is_number ? TextForm::number : TextForm::plain;
}

void describe_type(ColumnDescription& column, const TypeFacts& type) {
  const auto& [type_name, type_kind, is_builtin, modifier] = type;
  if (type_kind == 'e') {
    column.type = ColumnType::text;
    return;
  }
  column.type = ColumnType::by_text;
  column.text_form = text_form_of(type);
  const auto* const found = std::ranges::find(kTypes, type_name, &TypeName::name);
  const bool is_extension = type_name == "citext" || type_name == "ltree" || type_name == "hstore";
  if (found == kTypes.end() || type_kind != 'b' || is_builtin == is_extension) return;
  column.type = found->type;
  if (column.type == ColumnType::bit || column.type == ColumnType::varbit) {
    column.max_length = modifier;  // without a header
    return;
  }
  constexpr int kModifierHeader = 4;  // VARHDRSZ: typmods of these types count it in
  if (modifier < kModifierHeader) return;
  if (type_name == "varchar" || type_name == "bpchar") {
    column.max_length = modifier - kModifierHeader;
  } else if (type_name == "numeric") {
    // src/backend/utils/adt/numeric.c, numeric_typmod_precision and _scale (11 bits, signed).
    column.numeric_precision = ((modifier - kModifierHeader) >> 16) & 0xFFFF;
    column.numeric_scale = (((modifier - kModifierHeader) & 0x7FF) ^ 1024) - 1024;
  }
}

constexpr const char* kDomain = R"sql(
WITH RECURSIVE base AS (
  SELECT $1::oid AS type, -1 AS modifier
  UNION ALL
  SELECT t.typbasetype, CASE b.modifier WHEN -1 THEN t.typtypmod ELSE b.modifier END
  FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT t.typname, t.typtype, t.typnamespace = 'pg_catalog'::regnamespace::oid, b.modifier,
       t.typrelid::bigint, t.typcategory = 'A',
       (SELECT string_agg(l.enumlabel, E'\n' ORDER BY l.enumsortorder) FROM pg_enum l
        WHERE l.enumtypid = t.oid)
FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd')sql";

Try<std::vector<ColumnDescription>> read_attributes(Connection& connection, const std::string& id,
                                                    bool& may_insert, bool is_table);

// Of a composite type, whose relation has this oid. A record can only be made in binary if all that
// is in it can.
Try<void> read_composite(Connection& connection, const std::string& id, ColumnDescription& column) {
  bool may_insert = false;
  auto attributes = read_attributes(connection, id, may_insert, /*is_table=*/false);
  if (!attributes) return std::unexpected(std::move(attributes.error()));
  if (std::ranges::contains(*attributes, ColumnType::by_text, &ColumnDescription::type)) return {};
  column.type = ColumnType::composite;
  column.attributes = std::move(*attributes);
  return {};
}

// Of a domain that is the type of an array's elements.
Try<void> read_domain(Connection& connection, ColumnDescription& column) {
  auto base = connection.execute(kDomain, {std::to_string(column.element_oid)});
  if (!base) return std::unexpected(std::move(base.error()));
  const bool is_array = base->is_true(0, 5);
  if (is_array) return {};  // lists in a list would be dimensions
  const TypeFacts facts{.name = base->text(0, 0),
                        .kind = base->text(0, 1).front(),
                        .is_builtin = base->is_true(0, 2),
                        .modifier = std::stoi(base->string(0, 3))};
  column.labels = lines_of(base->text(0, 6));
  describe_type(column, facts);
  if (facts.kind != 'c') return {};
  return read_composite(connection, base->string(0, 4), column);
}

Try<std::vector<ColumnDescription>> read_attributes(Connection& connection, const std::string& id,
                                                    bool& may_insert, bool is_table) {
  auto columns = connection.execute(kColumns, {id, is_table ? "t" : "f"});
  if (!columns) return std::unexpected(std::move(columns.error()));
  const auto oid = [&](int row, int column) {
    return static_cast<std::uint32_t>(std::stoul(columns->string(row, column)));
  };
  std::vector<ColumnDescription> descriptions;
  for (int row = 0; row < columns->rows(); ++row) {
    ColumnDescription& column = descriptions.emplace_back();
    column.name = columns->string(row, 0);
    column.type_name = columns->string(row, 1);
    column.type_oid = oid(row, 2);
    column.element_oid = oid(row, 3);
    column.array_oid = oid(row, 12);
    column.is_array = column.element_oid != 0;
    column.not_null = columns->is_true(row, 7);
    column.has_default = columns->is_true(row, 8);
    column.is_generated = columns->is_true(row, 9);
    column.may_insert = columns->is_true(row, 10);
    may_insert = may_insert || column.may_insert;
    column.lacking_grants = lines_of(columns->text(row, 13));
    column.labels = lines_of(columns->text(row, 14));
    column.declared_oid = oid(row, 15);
    column.array_delimiter = columns->text(row, 17).front();
    column.has_order = columns->is_true(row, 18);
    const TypeFacts facts{.name = columns->text(row, 4),
                          .kind = columns->text(row, 5).front(),
                          .is_builtin = columns->is_true(row, 11),
                          .modifier = std::stoi(columns->string(row, 6))};
    describe_type(column, facts);
    Try<void> read;
    if (facts.kind == 'c') read = read_composite(connection, columns->string(row, 16), column);
    if (facts.kind == 'd') read = read_domain(connection, column);
    if (!read) return std::unexpected(std::move(read.error()));
  }
  return descriptions;
}

}  // namespace

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Try<std::vector<ColumnDescription>> read_columns(Connection& connection, const std::string& id,
                                                 bool& may_insert) {
  return read_attributes(connection, id, may_insert, /*is_table=*/true);
}

Try<void> read_constant_defaults(Connection& connection, const std::string& id,
                                 std::vector<ColumnDescription>& columns) {
  const auto found = connection.execute(kConstantDefaults, {id});
  if (!found) return std::unexpected(found.error());
  std::vector<ColumnDescription*> described;
  std::string query;
  for (int row = 0; row < found->rows(); ++row) {
    ColumnDescription& column =
        *std::ranges::find(columns, found->text(row, 0), &ColumnDescription::name);
    if (column.type == ColumnType::by_text) continue;  // its fields are not in binary
    const std::string value = "(" + found->string(row, 1) + ")";
    // This cast cuts texts; that of a DEFAULT refuses them.
    const bool may_be_cut = column.max_length >= 0;
    if (may_be_cut && column.is_array) continue;
    query += query.empty() ? "SELECT " : ", ";
    if (may_be_cut) {
      query += "CASE WHEN char_length(" + value + "::text) > " + std::to_string(column.max_length) +
               " THEN 'cut' ELSE ";
    }
    query += "encode(" + found->string(row, 2) + "(" + value + "::" + found->string(row, 3) +
             "), 'hex')";
    if (may_be_cut) query += " END";
    described.push_back(&column);
  }
  if (described.empty()) return {};
  const auto values = connection.execute(query, {});
  if (!values) {
    if (values.error().connection_lost) return std::unexpected(values.error());
    return {};
  }
  for (int i = 0; i < static_cast<int>(described.size()); ++i) {
    const std::string_view hex = values->text(0, i);
    if (hex == "cut") continue;
    std::string bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
      std::uint8_t byte = 0;
      std::from_chars(hex.data() + at, hex.data() + at + 2, byte, 16);
      bytes += static_cast<char>(byte);
    }
    const auto length = static_cast<std::int32_t>(bytes.size());
    const auto network = big_endian(values->is_null(0, i) ? std::int32_t{-1} : length);
    std::string& field = described[static_cast<std::size_t>(i)]->default_field;
    field.assign(reinterpret_cast<const char*>(&network), sizeof network);
    field += bytes;
  }
  return {};
}

}  // namespace penstock::postgres
