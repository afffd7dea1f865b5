// Columns whose binary format is the bytes of a text: text, bytea, uuid, json, jsonb.
//
// Threads: pure functions. Failure: false, and the problem says why.
#pragma once

#include <cstddef>

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

[[nodiscard]] bool encode_text(const ColumnDescription& column, const cel::Value& value,
                               FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_bytea(const ColumnDescription& column, const cel::Value& value,
                                FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_uuid(const ColumnDescription& column, const cel::Value& value,
                               FieldBuffer& out, EncodeProblem& problem);
// json and jsonb.
[[nodiscard]] bool encode_json(const ColumnDescription& column, const cel::Value& value,
                               FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_xml(const ColumnDescription& column, const cel::Value& value,
                              FieldBuffer& out, EncodeProblem& problem);
// bit and bit varying.
[[nodiscard]] bool encode_bits(const ColumnDescription& column, const cel::Value& value,
                               FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_ltree(const ColumnDescription& column, const cel::Value& value,
                                FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_hstore(const ColumnDescription& column, const cel::Value& value,
                                 FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
