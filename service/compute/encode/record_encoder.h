// Values of composite types in PostgreSQL's binary format (record_recv()).
//
// Threads: pure functions. Failure: false, and the problem says why.
#pragma once

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

// A map, whose entries go into the attributes of their names as into columns of their types. What
// it lacks is NULL, and what else it has is left out. One that has none of them is of another
// shape, and refused.
[[nodiscard]] bool encode_composite(const ColumnDescription& column, const cel::Value& value,
                                    FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
