// Spans of time in PostgreSQL's binary format of `interval`: microseconds, days, months.
//
// Threads: pure functions. Failure: false, and the problem says why.
#pragma once

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

// A duration of expressions; or text: ISO 8601 ("P1Y2M3DT4H5M6.7S"), as PostgreSQL prints it ("1
// year 2 mons -3 days 04:05:06.7"), or as expressions write it ("1h30m").
[[nodiscard]] bool encode_interval(const ColumnDescription& column, const cel::Value& value,
                                   FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
