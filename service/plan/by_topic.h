// Which tables a topic's records go to, where its name says so: "shop.{table}".
//
// Pure. Threads: free functions, for a spec that has been validated. Failure: why the topic's name
// gives no table.
#pragma once

#include <string>

#include "core/error.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::plan {

// The same pipeline with the tables of this topic. `invalid_argument`: it does not read it.
[[nodiscard]] Result<v1::PipelineSpec> for_topic(v1::PipelineSpec spec, const std::string& topic);

}  // namespace penstock::plan
