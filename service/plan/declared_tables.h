// The tables that a pipeline declares, with `create_table` or `add_columns`: their columns, and the
// types of these as far as expressions, `parse.schema` and `types` say them.
//
// Pure. Place: `penstock check` calls it for what it finds, app/ for what is to be made.
// Threads: free functions. Failure: every problem with its place in the configuration file, such as
// a column of which only each record tells the type.
#pragma once

#include <expected>
#include <map>
#include <string>
#include <vector>

#include "config/load.h"
#include "postgres/table_ddl.h"

namespace penstock::plan {

struct Declaration {
  // Of `columns` the types that the configuration names are not SQL yet: postgres::read_type().
  postgres::DeclaredTable table;
  std::map<std::string, std::string> named_types;  // column → type, as it is written

  [[nodiscard]] bool declares() const { return table.create || table.add_columns; }
};

// By route; one that declares nothing is empty. A table that is made has the columns of all routes
// that go there by the same name and declare it.
[[nodiscard]] std::expected<std::vector<Declaration>, config::Problems> declared_tables(
    const config::Loaded& loaded, int index);

}  // namespace penstock::plan
