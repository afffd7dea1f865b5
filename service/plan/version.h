// The version of a plan: which way of making rows has refused a record.
//
// Place: plan/ gives it to each plan it makes; it stands in penstock.dead_letters and in the log.
// Threads: a pure function.
#pragma once

#include <span>
#include <string>

#include "core/table.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::plan {

// Twelve hexadecimal digits, the same wherever the same program makes a plan of the same reader,
// schema, expressions and routes (their defaults filled in) for tables with the same columns and
// keys; another one after every change of these. Servers, secrets and settings of how fast it goes
// have no part in it.
[[nodiscard]] std::string version_of(const v1::PipelineSpec& spec,
                                     std::span<const TableDescription> tables);

}  // namespace penstock::plan
