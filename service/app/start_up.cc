#include "app/start_up.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "flow/stage_options.h"
#include "offsets/migrations.h"
#include "plan/by_topic.h"
#include "postgres/catalog.h"

namespace penstock::app {
namespace {

// Of the property that a message names.
std::string place_of_property(const v1::PipelineSpec& spec, const std::string& message) {
  std::string named;
  for (const auto& [name, value] : spec.source().kafka()) {
    if (name.size() > named.size() && message.contains(name)) named = name;
  }
  return named.empty() ? "source.kafka" : config::child_path("source.kafka", named);
}

// Without `columns` the table says which fields are written: of a column that is gone, or has
// another name, the values would be left out without a word.
Result<void> keeps_columns(const v1::PipelineSpec& spec, const plan::CompiledPlan& old,
                           const plan::CompiledPlan& plan) {
  const std::vector<plan::RouteSpec> routes = plan::routes_of(spec);
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (!routes[i].target.columns().empty()) continue;
    const TableDescription& before = old.targets()[i].table;
    const TableDescription& table = plan.targets()[i].table;
    for (const std::uint16_t column : old.written_columns(i)) {
      const std::string& name = before.columns[column].name;
      const bool is_written = std::ranges::any_of(
          plan.written_columns(i),
          [&](std::uint16_t other) { return table.columns[other].name == name; });
      if (is_written) continue;
      return fail(ErrorKind::conflict,
                  "the table has changed: column '" + name + "' of " + table.quoted_name() +
                      " can no longer be written, and the field of that name would be thrown away",
                  "bring the column back, or say in " + routes[i].place +
                      ".columns what is to be written, or start the process again if the field is "
                      "not wanted any more");
    }
  }
  return {};
}

}  // namespace

config::Problems check_offline(const config::Loaded& loaded, int index) {
  config::Problems problems = plan::check_expressions(loaded, index);
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  if (const auto taken = flow::check_kafka_properties(spec); !taken) {
    const Error& error = taken.error();
    problems.push_back(plan::problem_at(loaded, index, place_of_property(spec, error.message),
                                        error.message, error.hint));
  }
  return problems;
}

bool is_away(const Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::deadline_exceeded ||
         error.kind == ErrorKind::cancelled;
}

namespace {

Refusal refusal_of(const config::Loaded& loaded, int index, std::string_view path,
                   const Error& error) {
  return {{plan::problem_at(loaded, index, path, error.message, error.hint)}, is_away(error)};
}

std::expected<postgres::ServerDescription, Refusal> make_server(const config::Loaded& loaded,
                                                                int index, postgres::Pool& database,
                                                                const std::stop_token& stop) {
  const auto refuse = [&](const Error& error) {
    return std::unexpected(refusal_of(loaded, index, "sink.postgres", error));
  };
  auto server = postgres::check_server(database, stop);
  if (!server) return refuse(server.error());
  const auto current = offsets::is_current(database, stop);
  if (!current && current.error().kind == ErrorKind::permission_denied) {
    // It names what is lacking.
    if (const auto granted = offsets::check_grants(database, stop); !granted) {
      return refuse(granted.error());
    }
  }
  if (!current) return refuse(current.error());
  if (!*current) {
    return refuse(Error{ErrorKind::conflict,
                        "the schema \"penstock\" in database \"" + server->database +
                            "\" is missing or older than this program",
                        "run: penstock migrate up --config " + loaded.places.file(), ""});
  }
  if (const auto granted = offsets::check_grants(database, stop); !granted) {
    return refuse(granted.error());
  }
  return *std::move(server);
}

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_plan_on(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    const Topics& topics, postgres::Pool& database, const std::stop_token& stop) {
  std::vector<TableDescription> tables;
  config::Problems problems;
  for (const plan::RouteSpec& route : plan::routes_of(loaded.config.pipelines(index))) {
    auto table = postgres::describe_table(database, route.target.table(), stop);
    const std::string place = route.place + ".table";
    if (!table && is_away(table.error())) {
      return std::unexpected(refusal_of(loaded, index, place, table.error()));
    }
    if (!table) {
      problems.push_back(
          plan::problem_at(loaded, index, place, table.error().message, table.error().hint));
      continue;
    }
    tables.push_back(*std::move(table));
  }
  if (!problems.empty()) return std::unexpected(Refusal{std::move(problems)});

  auto plan = plan::compile(loaded, index, std::move(server), tables, topics);
  if (!plan) return std::unexpected(Refusal{std::move(plan.error())});
  return std::move(*plan);
}

}  // namespace

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_plan(
    const config::Loaded& loaded, int index, postgres::Pool& database,
    const std::stop_token& stop) {
  auto server = make_server(loaded, index, database, stop);
  if (!server) return std::unexpected(std::move(server.error()));
  return make_plan_on(loaded, index, *std::move(server),
                      plan::topics_of(loaded.config.pipelines(index)), database, stop);
}

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_topic_plan(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    const std::string& topic, const Topics& topics, postgres::Pool& database,
    const std::stop_token& stop) {
  const auto spec = plan::for_topic(loaded.config.pipelines(index), topic);
  if (!spec) return std::unexpected(refusal_of(loaded, index, "sink", spec.error()));
  config::Loaded resolved = loaded;
  *resolved.config.mutable_pipelines(index) = *spec;
  auto plan = make_plan_on(resolved, index, std::move(server), topics, database, stop);
  if (!plan) return plan;
  // Whoever may create a topic is not to reach what keeps the database going. (Those of schema
  // penstock nobody may name.)
  for (const Target& target : (*plan)->targets()) {
    const std::string& schema = target.table.schema;
    if (!schema.starts_with("pg_") && schema != "information_schema") continue;
    return std::unexpected(
        refusal_of(loaded, index, "sink",
                   Error{ErrorKind::permission_denied,
                         "topic '" + topic + "' names " + target.table.quoted_name() +
                             ", and a topic's name leads to no table of that schema",
                         "match such topics with another pattern", ""}));
  }
  return plan;
}

std::expected<std::unique_ptr<flow::PlanBook>, Refusal> make_plans(const config::Loaded& loaded,
                                                                   int index,
                                                                   postgres::Pool& database,
                                                                   const std::stop_token& stop) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  if (!plan::names_tables_by_topic(spec)) {
    auto plan = make_plan(loaded, index, database, stop);
    if (!plan) return std::unexpected(std::move(plan.error()));
    return std::make_unique<flow::PlanBook>(*std::move(plan));
  }
  auto server = make_server(loaded, index, database, stop);
  if (!server) return std::unexpected(std::move(server.error()));
  const Topics topics;
  return std::make_unique<flow::PlanBook>(
      spec.name(), topics, *server,
      [&loaded, index, server = *server, topics, &database](
          const std::string& topic, const std::stop_token& stopped) -> Result<flow::PlanPtr> {
        auto plan = make_topic_plan(loaded, index, server, topic, topics, database, stopped);
        if (plan) return *std::move(plan);
        const config::Problem& first = plan.error().problems.front();
        return fail(plan.error().is_away ? ErrorKind::unavailable : ErrorKind::not_found,
                    std::string(flow::kWaitsForTable) + first.message, first.hint);
      });
}

Result<std::shared_ptr<const plan::CompiledPlan>> make_plan_again(const config::Loaded& loaded,
                                                                  int index,
                                                                  postgres::Pool& database,
                                                                  const plan::CompiledPlan& old,
                                                                  const std::stop_token& stop) {
  // Where it stood, whatever the search_path finds by its name meanwhile: rows would be scattered
  // over two tables without a word.
  std::vector<TableDescription> tables;
  for (const Target& target : old.targets()) {
    auto table = postgres::describe_table(database, target.table.quoted_name(), stop);
    if (!table) return std::unexpected(table.error());
    tables.push_back(*std::move(table));
  }
  auto plan = plan::compile(loaded, index, old.server(), tables, old.topics());
  if (plan) {
    if (auto kept = keeps_columns(loaded.config.pipelines(index), old, **plan); !kept) {
      return std::unexpected(kept.error());
    }
    return std::move(*plan);
  }
  const config::Problem& first = plan.error().front();
  return fail(ErrorKind::conflict, "the table has changed: " + first.message, first.hint);
}

offsets::Identity identity_of(const v1::PipelineSpec& spec, const flow::PlanBook& plans,
                              const kafka::ClusterReport& cluster) {
  offsets::Identity identity{.pipeline = spec.name(),
                             .group = spec.source().group(),
                             .cluster_id = cluster.cluster_id,
                             .topics = {},
                             .tables = plans.table_names(),
                             .topic_ids = {}};
  if (spec.source().topics_matching().empty()) {
    identity.topics = plans.topics().names();
  } else {
    for (const kafka::TopicReport& topic : cluster.topics) identity.topics.push_back(topic.name);
  }
  // As the file names them: which there are follows from the topics.
  if (plans.is_by_topic()) {
    for (const plan::RouteSpec& route : plan::routes_of(spec)) {
      identity.tables.push_back(route.target.table());
    }
  }
  for (const kafka::TopicReport& topic : cluster.topics) {
    identity.topic_ids[topic.name] = topic.topic_id;
  }
  return identity;
}

}  // namespace penstock::app
