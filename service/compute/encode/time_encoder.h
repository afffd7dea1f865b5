// Dates and timestamps as PostgreSQL counts them: from 2000-01-01.
//
// Threads: pure functions. Failure: false, and the problem says what is wrong with the text.
#pragma once

#include <string_view>

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

// int64 microseconds since 2000-01-01T00:00:00Z; what is finer is cut off.
[[nodiscard]] bool encode_timestamp(cel::Instant instant, FieldBuffer& out, EncodeProblem& problem);

// RFC 3339 ("2024-02-29T12:30:00.5+02:00"), a space in place of the T included. Without an offset
// only where `offset_may_lack`, and then it is UTC.
[[nodiscard]] bool encode_timestamp(std::string_view text, bool offset_may_lack, FieldBuffer& out,
                                    EncodeProblem& problem);

// int32 days since 2000-01-01.
[[nodiscard]] bool encode_date(cel::Instant instant, FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_date(std::string_view text, FieldBuffer& out, EncodeProblem& problem);

// time, timetz: int64 microseconds since midnight; timetz: and int32 seconds west of UTC. Of a
// timestamp it is the time in UTC, of a duration (time only) the time since midnight.
[[nodiscard]] bool encode_time_of_day(const ColumnDescription& column, const cel::Value& value,
                                      FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
