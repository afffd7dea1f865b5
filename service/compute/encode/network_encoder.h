// inet, cidr, macaddr and macaddr8 in PostgreSQL's binary formats (network_recv(), macaddr_recv()).
//
// An address is an ip or cidr of expressions, or text: "192.0.2.1", "2001:db8::/32", and for
// macaddr any form that PostgreSQL reads. Threads: pure functions. Failure: false, and the problem
// says why.
#pragma once

#include "cel/value.h"
#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

[[nodiscard]] bool encode_inet(const ColumnDescription& column, const cel::Value& value,
                               FieldBuffer& out, EncodeProblem& problem);
[[nodiscard]] bool encode_macaddr(const ColumnDescription& column, const cel::Value& value,
                                  FieldBuffer& out, EncodeProblem& problem);

}  // namespace penstock::compute
