// Makes a pipeline's plan: its spec, bound to the tables that the catalog describes.
//
// Pure: whoever asks the servers (app/start_up.h) hands in what they answered.
// Threads: free functions, called before the pipeline's threads start.
// Failure: every problem with its place in the configuration file; nothing holds a secret.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compute/projection.h"
#include "config/load.h"
#include "core/table.h"
#include "core/topics.h"
#include "formats/json/json_reader.h"
#include "penstock/v1/pipeline.pb.h"
#include "plan/compiled_plan.h"
#include "postgres/catalog.h"

namespace penstock::plan {

// The ways into tables: `sink.target`, or `sink.routes`.
struct RouteSpec {
  const v1::TargetSpec& target;
  std::string place;  // "sink.target", "sink.routes[1]"
};
[[nodiscard]] std::vector<RouteSpec> routes_of(const v1::PipelineSpec& spec);

// Those that it lists; none where it goes by a pattern.
[[nodiscard]] Topics topics_of(const v1::PipelineSpec& spec);

// The spec's parts that compute/ and the reader need.
[[nodiscard]] compute::ComputeOptions compute_options(const v1::PipelineSpec& spec);
[[nodiscard]] formats::JsonOptions json_options(const v1::PipelineSpec& spec);

// What can be said of the expressions of pipeline number `index` without a database: syntax, names,
// types, cycles.
[[nodiscard]] config::Problems check_expressions(const config::Loaded& loaded, int index);
// The plan of pipeline number `index`, for the tables of its routes as the catalog describes them.
// `topics`: those that it shares with other plans of the pipeline; else its own.
[[nodiscard]] std::expected<std::shared_ptr<const CompiledPlan>, config::Problems> compile(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    std::span<const TableDescription> tables, const std::optional<Topics>& topics = std::nullopt);

// A problem at `path` below pipeline number `index`, such as "sink.target.table".
[[nodiscard]] config::Problem problem_at(const config::Loaded& loaded, int index,
                                         std::string_view path, std::string message,
                                         std::string hint);

}  // namespace penstock::plan
