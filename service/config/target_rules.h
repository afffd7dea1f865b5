// The rules of validate.h for `sink.target` and `sink.routes`, and for what deletes their rows.
//
// Place in the flow: validate() calls it. What the table has to say is plan/'s to ask. Threads: a
// pure function.
#pragma once

#include <string>
#include <vector>

#include "config/validate.h"

namespace penstock::config {

// A record without a payload deletes a row there.
[[nodiscard]] bool takes_tombstones(const penstock::v1::PipelineSpec& spec,
                                    const penstock::v1::TargetSpec& target);

// Any of its tables is the one that a topic's name says.
[[nodiscard]] bool names_tables_by_topic(const penstock::v1::PipelineSpec& spec);

// Adds what is wrong to `found`; `path` is the pipeline's.
void check_targets(const penstock::v1::PipelineSpec& spec, const std::string& path,
                   std::vector<Violation>& found);

}  // namespace penstock::config
