// Why a value does not go into a column: what all encoders say in the same words.
//
// For `return refuse(...)`: each fills the problem and returns false.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

[[nodiscard]] bool refuse(EncodeProblem& problem, std::string_view reason, std::string message,
                          std::string hint = {});

// Says what the value is, what the column takes, and which conversion helps.
[[nodiscard]] bool refuse_type(const ColumnDescription& column, const cel::Value& value,
                               EncodeProblem& problem);
[[nodiscard]] bool refuse_range(const ColumnDescription& column, EncodeProblem& problem);
[[nodiscard]] bool refuse_size(std::size_t bytes, EncodeProblem& problem);

}  // namespace penstock::compute
