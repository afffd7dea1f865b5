#include "plan/compile.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "plan/bind_target.h"

namespace penstock::plan {
namespace {

std::string path_of(int index, std::string_view place) {
  return config::item_path("pipelines", static_cast<std::size_t>(index)) + "." + std::string(place);
}

// compute/ names places in its own terms; a column's expression stands below sink.target.columns.
config::Problem locate(const config::Loaded& loaded, int index,
                       const compute::ComputeOptions& options, const compute::Problem& problem) {
  std::string path = path_of(index, problem.place);
  std::string_view text =
      problem.place == "sink.target.delete_when" ? options.delete_when : options.where;
  const std::array<std::pair<std::string_view, const std::map<std::string, std::string>*>, 3> maps =
      {{{"parse.schema", &options.schema},
        {"compute.let", &options.let},
        {"sink.target.columns", &options.columns}}};
  for (const auto& [section, entries] : maps) {
    if (!problem.place.starts_with(std::string(section) + ".")) continue;
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

}  // namespace

config::Problem problem_at(const config::Loaded& loaded, int index, std::string_view path,
                           std::string message, std::string hint) {
  const std::string full = path_of(index, path);
  return loaded.places.problem(loaded.places.value_place(full), full, std::move(message),
                               std::move(hint));
}

compute::ComputeOptions compute_options(const v1::PipelineSpec& spec) {
  compute::ComputeOptions options;
  options.schema = {spec.parse().schema().begin(), spec.parse().schema().end()};
  options.where = spec.compute().where();
  options.let = {spec.compute().let().begin(), spec.compute().let().end()};
  options.columns = {spec.sink().target().columns().begin(), spec.sink().target().columns().end()};
  options.inserts = spec.sink().target().mode() != v1::TargetSpec::UPDATE;
  options.delete_when = spec.sink().target().delete_when();
  options.deleted_at = spec.sink().target().deleted_at();
  options.tombstones = spec.parse().tombstones() == v1::ParseSpec::SKIP ? compute::Tombstones::skip
                       : spec.parse().tombstones() == v1::ParseSpec::DELETE
                           ? compute::Tombstones::remove
                           : compute::Tombstones::reject;
  options.max_steps = spec.compute().max_steps();
  options.memory_bytes = spec.resources().memory_bytes();
  options.topics = {spec.source().topics().begin(), spec.source().topics().end()};
  return options;
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
    const TableDescription& table) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const compute::ComputeOptions options = compute_options(spec);
  auto projection = compute::Projection::compile(options, table);
  if (!projection) return std::unexpected(locate(loaded, index, options, projection.error()));
  const bool deletes =
      options.tombstones == compute::Tombstones::remove || !options.delete_when.empty();
  auto target = bind_target(spec.sink().target(), deletes, table, projection->columns());
  if (!target) return std::unexpected(locate(loaded, index, options, target.error()));
  return std::make_shared<const CompiledPlan>(spec.name(), options.topics, std::move(server),
                                              std::move(*target), std::move(*projection),
                                              json_options(spec));
}

}  // namespace penstock::plan
