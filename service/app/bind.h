// Binds a pipeline's spec to the world: expressions to the table that the catalog describes.
//
// `penstock check` and `penstock serve` share it, so that what check accepts, serve starts.
// Threads: free functions, called before the pipeline's threads start.
// Failure: every problem with its place in the configuration file; nothing holds a secret.
#pragma once

#include <expected>
#include <stop_token>
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

// What can be said of the expressions of pipeline number `index` without a database: syntax, names,
// types, cycles.
[[nodiscard]] config::Problems check_expressions(const config::Loaded& loaded, int index);
// The same, and whether librdkafka takes the properties: all that shows without a server.
[[nodiscard]] config::Problems check_offline(const config::Loaded& loaded, int index);

// A server is away: the same may work later.
[[nodiscard]] bool is_away(const Error& error);

// Why a pipeline cannot be bound.
struct Refusal {
  config::Problems problems;
  bool is_away = false;  // the database is, as is_away() says; else waiting cures nothing
};

// Connects to the database of pipeline number `index`, checks the schema's version, reads the table
// and compiles the expressions against it. A stop ends the waiting.
[[nodiscard]] std::expected<Binding, Refusal> bind(const config::Loaded& loaded, int index,
                                                   const std::stop_token& stop = {});

// A problem at `path` below pipeline number `index`, such as "sink.table".
[[nodiscard]] config::Problem problem_at(const config::Loaded& loaded, int index,
                                         std::string_view path, std::string message,
                                         std::string hint);

}  // namespace penstock::app
