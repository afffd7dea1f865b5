// The tables that pipelines declare: what is lacking of one, and how it is made.
//
// Place: app/ calls it where a pipeline says `create_table` or `add_columns` and the catalog has no
// such table or column; plan/ says what is declared. Nothing is ever dropped, and nothing that is
// there gets another type.
// One at a time in a database, whatever process or pipeline it is: under an advisory lock, within
// one transaction, and by what the catalog says when the lock is there. Whoever comes second finds
// nothing to do.
// Threads: free functions without state; each call leases a connection of the pool.
// Failure: as in catalog.h; `permission_denied` has the GRANT that is missing and the statement,
// for somebody who may; `deadline_exceeded`: somebody holds a lock. Nothing has been done then.
// Stop: as in catalog.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/table.h"

namespace penstock::postgres {

class Pool;

// The advisory lock: "pentable" as a number, beside that of the migrations.
inline constexpr std::int64_t kTableLock = 0x70'65'6e'74'61'62'6c'65;

struct DeclaredColumn {
  std::string name;
  // SQL, as read_type() or compute::derived_type() says it.
  std::string type;
};

struct DeclaredTable {
  std::vector<DeclaredColumn> columns;
  std::vector<std::string> key = {};  // of a table that is made: its primary key; empty: none
  bool create = false;                // if it is not there
  bool add_columns = false;           // to one that is there
};

enum class Ddl : std::uint8_t { show, run };

// CREATE TABLE, and ALTER TABLE … ADD COLUMN. All names are quoted.
[[nodiscard]] std::string create_table_sql(std::string_view schema, std::string_view name,
                                           const DeclaredTable& table);
[[nodiscard]] std::string add_columns_sql(std::string_view schema, std::string_view name,
                                          std::span<const DeclaredColumn> columns);

// Those that a table does not have. Columns of its key are none that can be added: a row that is
// there would have no value for them.
[[nodiscard]] std::vector<DeclaredColumn> lacking_columns(const DeclaredTable& declared,
                                                          const TableDescription& table);

// A type as PostgreSQL spells it, of the text that somebody has written for it, which the role's
// search_path resolves: "citext" is "public.citext". Nothing else can be in it than one type.
// `invalid_argument`: it is none, or none that a column can have.
[[nodiscard]] Result<std::string> read_type(
    Pool& pool, const std::string& text, const std::stop_token& stop = {},
    std::chrono::milliseconds limit = std::chrono::seconds(10));

// Makes what is lacking of `table`, which is named as for describe_table(), or shows what it would
// do and does nothing. The statement; empty: nothing is lacking, or nothing that may be made.
[[nodiscard]] Result<std::string> make_table(
    Pool& pool, const std::string& table, const DeclaredTable& declared, Ddl ddl,
    const std::stop_token& stop = {}, std::chrono::milliseconds limit = std::chrono::seconds(10));

}  // namespace penstock::postgres
