// Values of types that Penstock has no encoder for: as the text that PostgreSQL's own input
// function reads, and judges.
//
// Threads: pure functions. Failure: false, and the problem says why.
#pragma once

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

// The whole field, also of an array: its length, the text, and a NUL (core/row_batch.h).
[[nodiscard]] bool encode_text_input(const ColumnDescription& column, const cel::Value& value,
                                     FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
