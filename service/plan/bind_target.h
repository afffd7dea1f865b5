// A target of a pipeline: its table, and how rows go into it.
//
// Pure. Threads: free functions. Failure: every problem with its place below the pipeline.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "compute/projection.h"
#include "core/plan.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::plan {

// `place`: of the spec, such as "sink.target". `deletes`: records may delete rows. `written`: the
// columns that rows may carry, as indexes into the table's.
[[nodiscard]] std::expected<Target, compute::Problems> bind_target(
    const v1::TargetSpec& spec, const std::string& place, bool deletes,
    const TableDescription& table, std::span<const std::uint16_t> written);

}  // namespace penstock::plan
