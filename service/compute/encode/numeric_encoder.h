// Decimal numbers in PostgreSQL's binary format of `numeric`: digits to the base of 10,000.
//
// A column numeric(p,s) rounds to s digits behind the point, half away from zero, and then refuses
// what has more than p - s digits before it; a column without precision keeps every digit, up to
// 131,072 before and 16,383 behind the point (PostgreSQL documentation, "Numeric Types").
// Threads: pure functions. Failure: false, and the problem says why.
#pragma once

#include <cstdint>
#include <string_view>

#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

[[nodiscard]] bool encode_numeric(const ColumnDescription& column, std::int64_t number,
                                  FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_numeric(const ColumnDescription& column, std::uint64_t number,
                                  FieldBuffer& out, EncodeProblem& problem);
// By its shortest decimal form that reads back as the same number: 0.1 is 0.1.
[[nodiscard]] bool encode_numeric(const ColumnDescription& column, double number, FieldBuffer& out,
                                  EncodeProblem& problem);
// Whether a numeric without precision holds a number by JSON's grammar, as jsonb keeps them.
[[nodiscard]] bool fits_numeric(std::string_view number);
// "-12.50", "1e3", "NaN", "Infinity", with white space around it.
[[nodiscard]] bool encode_numeric(const ColumnDescription& column, std::string_view text,
                                  FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
