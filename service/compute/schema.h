// What a pipeline declares of `msg`: the types of some of its fields.
//
// Place in the flow: parse.schema of the spec → what the checker knows of `msg` (expressions.h) →
// what every record is held to (conform.h). Gradual: what is not declared is dyn, at every level.
// Threads: pure function. Failure: problems are collected, so that all are seen at once.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cel/type.h"
#include "compute/projection.h"

namespace penstock::compute {

// Field → type, both as text. "customer.name" is a field of the object `customer`; a name that
// itself has a dot stands in backquotes: "`customer.name`". An object of which fields are declared
// becomes a record.
[[nodiscard]] std::vector<cel::Field> parse_schema(const std::map<std::string, std::string>& schema,
                                                   Problems& problems);

}  // namespace penstock::compute
