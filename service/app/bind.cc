#include "app/bind.h"

#include <utility>

#include "offsets/migrations.h"

namespace penstock::app {
namespace {

std::string path_of(int index, std::string_view place) {
  return config::item_path("pipelines", static_cast<std::size_t>(index)) + "." + std::string(place);
}

// compute/ names places in its own terms; a column's expression stands below sink.columns.
config::Problem locate(const config::Loaded& loaded, int index,
                       const compute::ComputeOptions& options, const compute::Problem& problem) {
  const std::string path = path_of(index, problem.place);
  if (problem.line == 0) {
    return loaded.places.problem(loaded.places.key_place(path), path, problem.message,
                                 problem.hint);
  }
  const auto last = problem.place.rfind('.');
  const std::string name = problem.place.substr(last + 1);
  std::string_view expression = options.where;
  if (const auto let = options.let.find(name);
      problem.place.starts_with("compute.let") && let != options.let.end()) {
    expression = let->second;
  } else if (const auto column = options.columns.find(name);
             problem.place.starts_with("sink.columns") && column != options.columns.end()) {
    expression = column->second;
  }
  return loaded.places.problem(
      loaded.places.place_at(path, expression, problem.line, problem.column), path, problem.message,
      problem.hint);
}

config::Problems locate(const config::Loaded& loaded, int index,
                        const compute::ComputeOptions& options, const compute::Problems& problems) {
  config::Problems located;
  located.reserve(problems.size());
  for (const compute::Problem& problem : problems) {
    located.push_back(locate(loaded, index, options, problem));
  }
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
  options.where = spec.compute().where();
  options.let = {spec.compute().let().begin(), spec.compute().let().end()};
  options.columns = {spec.sink().columns().begin(), spec.sink().columns().end()};
  options.tombstones = spec.parse().json().tombstones() == v1::JsonSpec::SKIP
                           ? compute::Tombstones::skip
                           : compute::Tombstones::reject;
  options.topics = {spec.source().topics().begin(), spec.source().topics().end()};
  return options;
}

config::Problems check_expressions(const config::Loaded& loaded, int index) {
  const compute::ComputeOptions options = compute_options(loaded.config.pipelines(index));
  return locate(loaded, index, options, compute::check_expressions(options));
}

std::expected<Binding, config::Problems> bind(const config::Loaded& loaded, int index) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto refuse = [&](std::string_view path, const Error& error) {
    return std::unexpected(
        config::Problems{problem_at(loaded, index, path, error.message, error.hint)});
  };

  auto server = write::check_server(spec.sink().postgres());
  if (!server) return refuse("sink.postgres", server.error());
  const auto current = offsets::is_current(spec.sink().postgres());
  if (!current) return refuse("sink.postgres", current.error());
  if (!*current) {
    return refuse("sink.postgres",
                  Error{ErrorKind::conflict,
                        "the schema \"penstock\" in database \"" + server->database +
                            "\" is missing or older than this program",
                        "run: penstock migrate up --config " + loaded.places.file(), ""});
  }
  auto table = write::describe_table(spec.sink().postgres(), spec.sink().table());
  if (!table) return refuse("sink.table", table.error());

  const compute::ComputeOptions options = compute_options(spec);
  auto projection = compute::Projection::compile(options, *table);
  if (!projection) {
    return std::unexpected(locate(loaded, index, options, projection.error()));
  }
  return Binding{std::move(*server), std::move(*table), std::move(*projection)};
}

}  // namespace penstock::app
