// The column type that takes what an expression gives, as it is: the other way round than
// can_encode().
//
// Place: for tables that a pipeline declares (plan/declared_tables.h).
// Threads: pure function. Failure: empty: only run time can tell what it gives.
#pragma once

#include <string>

#include "cel/type.h"

namespace penstock::compute {

// As SQL, such as "bigint" or "text[]". Lists of what is one value become arrays, other lists and
// objects jsonb. A uint is numeric: a bigint would not hold the upper half of them.
[[nodiscard]] std::string derived_type(const cel::Type& type);

}  // namespace penstock::compute
