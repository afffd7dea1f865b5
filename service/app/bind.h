// Binds a pipeline's spec to the world: expressions to the table that the catalog describes.
//
// `penstock check` and `penstock serve` share it, so that what check accepts, serve starts.
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
#include "write/catalog.h"

namespace penstock::app {

// What a pipeline needs to know of its target before it can start.
struct Binding {
  write::ServerDescription server;
  TableDescription table;
  compute::Projection projection;
};

// The spec's part that compute/ needs.
[[nodiscard]] compute::ComputeOptions compute_options(const v1::PipelineSpec& spec);

// What can be said of pipeline number `index` without a database: syntax, names, types, cycles.
[[nodiscard]] config::Problems check_expressions(const config::Loaded& loaded, int index);

// Connects to the database of pipeline number `index`, checks the schema's version, reads the table
// and compiles the expressions against it.
[[nodiscard]] std::expected<Binding, config::Problems> bind(const config::Loaded& loaded,
                                                            int index);

// A problem at `path` below pipeline number `index`, such as "sink.table".
[[nodiscard]] config::Problem problem_at(const config::Loaded& loaded, int index,
                                         std::string_view path, std::string message,
                                         std::string hint);

}  // namespace penstock::app
