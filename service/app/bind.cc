#include "app/bind.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "app/stage_options.h"
#include "offsets/migrations.h"

namespace penstock::app {
namespace {

constexpr std::chrono::seconds kAnswerLimit{10};

std::string path_of(int index, std::string_view place) {
  return config::item_path("pipelines", static_cast<std::size_t>(index)) + "." + std::string(place);
}

// compute/ names places in its own terms; a column's expression stands below sink.columns.
config::Problem locate(const config::Loaded& loaded, int index,
                       const compute::ComputeOptions& options, const compute::Problem& problem) {
  std::string path = path_of(index, problem.place);
  std::string_view text = options.where;
  const std::array<std::pair<std::string_view, const std::map<std::string, std::string>*>, 3> maps =
      {{{"parse.schema", &options.schema},
        {"compute.let", &options.let},
        {"sink.columns", &options.columns}}};
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
  options.columns = {spec.sink().columns().begin(), spec.sink().columns().end()};
  options.tombstones = spec.parse().json().tombstones() == v1::JsonSpec::SKIP
                           ? compute::Tombstones::skip
                           : compute::Tombstones::reject;
  options.max_steps = spec.compute().max_steps();
  options.topics = {spec.source().topics().begin(), spec.source().topics().end()};
  return options;
}

config::Problems check_expressions(const config::Loaded& loaded, int index) {
  const compute::ComputeOptions options = compute_options(loaded.config.pipelines(index));
  return locate(loaded, index, options, compute::check_expressions(options));
}

config::Problems check_offline(const config::Loaded& loaded, int index) {
  config::Problems problems = check_expressions(loaded, index);
  if (const auto taken = check_kafka_properties(loaded.config.pipelines(index)); !taken) {
    problems.push_back(
        problem_at(loaded, index, "source.kafka", taken.error().message, taken.error().hint));
  }
  return problems;
}

bool is_away(const Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::deadline_exceeded ||
         error.kind == ErrorKind::cancelled;
}

std::expected<Binding, Refusal> bind(const config::Loaded& loaded, int index,
                                     const std::stop_token& stop) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto refuse = [&](std::string_view path, const Error& error) {
    return std::unexpected(
        Refusal{{problem_at(loaded, index, path, error.message, error.hint)}, is_away(error)});
  };

  auto server = write::check_server(spec.sink().postgres(), kAnswerLimit, stop);
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
  auto table =
      write::describe_table(spec.sink().postgres(), spec.sink().table(), kAnswerLimit, stop);
  if (!table) return refuse("sink.table", table.error());

  const compute::ComputeOptions options = compute_options(spec);
  auto projection = compute::Projection::compile(options, *table);
  if (!projection) {
    return std::unexpected(Refusal{locate(loaded, index, options, projection.error())});
  }
  return Binding{std::move(*server), std::move(*table), std::move(*projection)};
}

}  // namespace penstock::app
