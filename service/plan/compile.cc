#include "plan/compile.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "config/target_rules.h"
#include "plan/bind_target.h"
#include "plan/version.h"

namespace penstock::plan {
namespace {

std::string path_of(int index, std::string_view place) {
  return config::item_path("pipelines", static_cast<std::size_t>(index)) + "." + std::string(place);
}

// The text at `place`, if it is an expression.
std::string_view expression_at(const compute::ComputeOptions& options, std::string_view place) {
  for (const compute::RouteOptions& route : options.routes) {
    if (place == route.place + ".when") return route.when;
    if (place == route.place + ".for_each") return route.for_each;
    if (place == route.place + ".delete_when") return route.delete_when;
  }
  return options.where;
}

// compute/ names places in its own terms; an expression of a map stands below the map's place.
config::Problem locate(const config::Loaded& loaded, int index,
                       const compute::ComputeOptions& options, const compute::Problem& problem) {
  std::string path = path_of(index, problem.place);
  std::string_view text = expression_at(options, problem.place);
  std::vector<std::pair<std::string, const std::map<std::string, std::string>*>> maps = {
      {"parse.schema", &options.schema}, {"compute.let", &options.let}};
  for (const compute::RouteOptions& route : options.routes) {
    maps.emplace_back(route.place + ".columns", &route.columns);
  }
  for (const auto& [section, entries] : maps) {
    if (!problem.place.starts_with(section + ".")) continue;
    const std::string name = problem.place.substr(section.size() + 1);
    path = config::child_path(path_of(index, section), name);
    if (const auto entry = entries->find(name); entry != entries->end()) text = entry->second;
  }
  const config::Place place =
      problem.line == 0 ? loaded.places.key_place(path)
                        : loaded.places.place_at(path, text, problem.line, problem.column);
  return loaded.places.problem(place, path, problem.message, problem.hint);
}

config::Problems locate(const config::Loaded& loaded, int index,
                        const compute::ComputeOptions& options, const compute::Problems& problems) {
  config::Problems located;
  located.reserve(problems.size());
  for (const compute::Problem& problem : problems) {
    located.push_back(locate(loaded, index, options, problem));
  }
  // In the order of the file.
  std::ranges::stable_sort(located, {}, [](const config::Problem& problem) {
    return std::pair(problem.line, problem.column);
  });
  return located;
}

// What messages call a route; nothing where there is but one.
std::string name_of(const v1::PipelineSpec& spec, std::size_t route) {
  if (spec.sink().routes().empty()) return {};
  return config::item_path("routes", route) + " (" +
         spec.sink().routes(static_cast<int>(route)).table() + ")";
}

// Versions of a row that come by several routes are written in the order of their records.
void note_shared_tables(std::vector<Target>& targets) {
  for (Target& target : targets) {
    target.shares_table = std::ranges::any_of(targets, [&target](const Target& other) {
      return other.number != target.number && other.table.schema == target.table.schema &&
             other.table.name == target.table.name;
    });
    if (target.shares_table && target.is_keyed() && target.in_order_for.empty()) {
      target.in_order_for = "another route to this table";
    }
  }
}

}  // namespace

config::Problem problem_at(const config::Loaded& loaded, int index, std::string_view path,
                           std::string message, std::string hint) {
  const std::string full = path_of(index, path);
  return loaded.places.problem(loaded.places.value_place(full), full, std::move(message),
                               std::move(hint));
}

std::vector<RouteSpec> routes_of(const v1::PipelineSpec& spec) {
  const v1::SinkSpec& sink = spec.sink();
  if (sink.routes().empty()) return {{sink.target(), "sink.target"}};
  std::vector<RouteSpec> routes;
  for (int i = 0; i < sink.routes_size(); ++i) {
    routes.push_back(
        {sink.routes(i), config::item_path("sink.routes", static_cast<std::size_t>(i))});
  }
  return routes;
}

compute::ComputeOptions compute_options(const v1::PipelineSpec& spec) {
  compute::ComputeOptions options;
  options.schema = {spec.parse().schema().begin(), spec.parse().schema().end()};
  options.where = spec.compute().where();
  options.let = {spec.compute().let().begin(), spec.compute().let().end()};
  options.routes.clear();
  for (const RouteSpec& route : routes_of(spec)) {
    const v1::TargetSpec& target = route.target;
    options.routes.push_back({.place = route.place,
                              .name = name_of(spec, options.routes.size()),
                              .when = target.when(),
                              .for_each = target.for_each(),
                              .columns = {target.columns().begin(), target.columns().end()},
                              .delete_when = target.delete_when(),
                              .deleted_at = target.deleted_at(),
                              .key = {target.key().begin(), target.key().end()},
                              .inserts = target.mode() != v1::TargetSpec::UPDATE,
                              .takes_tombstones = config::takes_tombstones(spec, target)});
  }
  options.first_route_only = spec.sink().match() != v1::SinkSpec::ALL;
  options.drops_unrouted = spec.sink().otherwise() == v1::SinkSpec::DROP;
  options.tombstones = spec.parse().tombstones() == v1::ParseSpec::SKIP ? compute::Tombstones::skip
                       : spec.parse().tombstones() == v1::ParseSpec::DELETE
                           ? compute::Tombstones::remove
                           : compute::Tombstones::reject;
  options.max_steps = spec.compute().max_steps();
  options.memory_bytes = spec.resources().memory_bytes();
  options.topics = topics_of(spec);
  return options;
}

Topics topics_of(const v1::PipelineSpec& spec) {
  return std::vector<std::string>(spec.source().topics().begin(), spec.source().topics().end());
}

formats::JsonOptions json_options(const v1::PipelineSpec& spec) {
  return {.max_record_bytes = spec.parse().max_record_bytes(),
          .max_depth = spec.parse().json().max_depth()};
}

config::Problems check_expressions(const config::Loaded& loaded, int index) {
  const compute::ComputeOptions options = compute_options(loaded.config.pipelines(index));
  return locate(loaded, index, options, compute::check_expressions(options));
}

std::expected<std::shared_ptr<const CompiledPlan>, config::Problems> compile(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    std::span<const TableDescription> tables, const std::optional<Topics>& topics) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  compute::ComputeOptions options = compute_options(spec);
  if (topics) options.topics = *topics;
  auto projection = compute::Projection::compile(options, tables);
  if (!projection) return std::unexpected(locate(loaded, index, options, projection.error()));
  std::vector<Target> targets;
  compute::Problems problems;
  for (const RouteSpec& route : routes_of(spec)) {
    const std::size_t number = targets.size();
    const compute::RouteOptions& wanted = options.routes[number];
    const bool deletes = wanted.takes_tombstones || !wanted.delete_when.empty();
    auto target = bind_target(route.target, route.place, deletes, tables[number],
                              projection->columns(number));
    if (!target) {
      std::ranges::move(target.error(), std::back_inserter(problems));
      target.emplace();
    }
    target->number = static_cast<std::uint16_t>(number);
    target->route = wanted.name;
    target->is_list = !wanted.for_each.empty();
    targets.push_back(*std::move(target));
  }
  if (!problems.empty()) return std::unexpected(locate(loaded, index, options, problems));
  note_shared_tables(targets);
  return std::make_shared<const CompiledPlan>(spec.name(), options.topics, std::move(server),
                                              std::move(targets), std::move(*projection),
                                              json_options(spec), version_of(spec, tables));
}

}  // namespace penstock::plan
