// What the bytes of a column's field must hold for a value: the same value.
#pragma once

#include <optional>
#include <string_view>

#include "cel/value.h"
#include "core/table.h"

namespace penstock {

// `bytes`: nullopt is NULL. `value` is one that encode_field() took for the column.
void check_field(const ColumnDescription& column, const cel::Value& value,
                 std::optional<std::string_view> bytes);

}  // namespace penstock
