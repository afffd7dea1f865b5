// Binds a pipeline's spec to the world: expressions to the table that the catalog describes.
//
// Pure: whoever asks the servers (app/start_up.h) hands in what they answered.
// Threads: free functions, called before the pipeline's threads start.
// Failure: every problem with its place in the configuration file; nothing holds a secret.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "compute/projection.h"
#include "config/load.h"
#include "core/table.h"
#include "penstock/v1/pipeline.pb.h"
#include "postgres/catalog.h"

namespace penstock::plan {

// What a pipeline needs to know of its target before it can start.
struct Binding {
  postgres::ServerDescription server;
  TableDescription table;
  compute::Projection projection;
};

// The spec's part that compute/ needs.
[[nodiscard]] compute::ComputeOptions compute_options(const v1::PipelineSpec& spec);

// What can be said of the expressions of pipeline number `index` without a database: syntax, names,
// types, cycles.
[[nodiscard]] config::Problems check_expressions(const config::Loaded& loaded, int index);
// Compiles the expressions of pipeline number `index` against the table.
[[nodiscard]] std::expected<Binding, config::Problems> bind(const config::Loaded& loaded, int index,
                                                            postgres::ServerDescription server,
                                                            TableDescription table);

// A problem at `path` below pipeline number `index`, such as "sink.table".
[[nodiscard]] config::Problem problem_at(const config::Loaded& loaded, int index,
                                         std::string_view path, std::string message,
                                         std::string hint);

}  // namespace penstock::plan
