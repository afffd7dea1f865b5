// What PostgreSQL's catalog says about a target table.
//
// write/ reads it, compute/ binds expressions to it and encodes by it. Immutable: when the table
// changes, the pipeline gets another plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

// The column types that Penstock writes. A domain is its base type; enums are text.
enum class ColumnType : std::uint8_t {
  boolean,
  int2,
  int4,
  int8,
  float4,
  float8,
  numeric,
  text,  // text, varchar(n), char(n), name, citext, enums: see ColumnDescription::max_length
  bytea,
  uuid,
  date,
  timestamp,
  timestamptz,
  json,
  jsonb,
  time,
  timetz,
  interval,
  inet,
  cidr,
  macaddr,
  macaddr8,
  bit,     // bit(n), with n in ColumnDescription::max_length
  varbit,  // bit varying(n), likewise
  xml,
  ltree,
  hstore,
  unsupported,
};

struct ColumnDescription {
  std::string name;
  ColumnType type = ColumnType::unsupported;  // of the element, for an array
  bool is_array = false;                      // of any dimensions
  std::string type_name;                      // as PostgreSQL spells it: "numeric(12,2)", "text[]"
  std::uint32_t type_oid = 0;                 // of the column itself
  std::uint32_t element_oid = 0;              // of the element, for an array
  std::uint32_t array_oid = 0;                // of the array over this column's type; 0: none
  // Characters, for varchar(n) and char(n); bits, for bit(n) and bit varying(n); else -1.
  std::int32_t max_length = -1;
  std::int32_t numeric_precision = -1;  // for numeric(p,s); else -1
  std::int32_t numeric_scale = 0;
  bool not_null = false;
  bool has_default = false;  // a DEFAULT, an identity or a sequence
  // What the DEFAULT comes to, as a field of a COPY tuple (RowBatch), if it always comes to the
  // same and the role may name the column; else empty.
  std::string default_field = {};
  bool is_generated = false;  // GENERATED ALWAYS (stored or identity): cannot be written
  bool may_insert = true;     // this role, into this column
  // What its DEFAULT takes values from and this role may not use: "schema"."sequence".
  std::string forbidden_sequence;
  std::vector<std::string> labels;  // of an enum, or of an array of one, in its order

  friend bool operator==(const ColumnDescription&, const ColumnDescription&) = default;
};

struct TableDescription {
  std::string schema;
  std::string name;
  std::vector<ColumnDescription> columns;  // in attnum order, dropped ones left out
  std::vector<std::string> primary_key;    // column names, in key order
  // Another one after every change of what is above: see postgres/catalog.h.
  std::string version = {};

  friend bool operator==(const TableDescription&, const TableDescription&) = default;

  // "schema"."name", quoted for SQL.
  [[nodiscard]] std::string quoted_name() const;
  // Index of the column, or -1.
  [[nodiscard]] int find_column(std::string_view column) const;
};

// "name" with quotes doubled, for SQL.
[[nodiscard]] std::string quote_identifier(std::string_view name);

}  // namespace penstock
