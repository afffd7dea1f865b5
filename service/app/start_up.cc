#include "app/start_up.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "config/target_rules.h"
#include "flow/stage_options.h"
#include "offsets/migrations.h"
#include "plan/by_topic.h"
#include "plan/declared_tables.h"
#include "postgres/catalog.h"
#include "postgres/connect_failure.h"
#include "postgres/failure_class.h"
#include "postgres/table_ddl.h"

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

// Without `key` the table says which rows are one: by another primary key it would be another
// upsert, which changes and removes other rows.
Result<void> keeps_keys(const v1::PipelineSpec& spec, const plan::CompiledPlan& old,
                        const plan::CompiledPlan& plan) {
  const std::vector<plan::RouteSpec> routes = plan::routes_of(spec);
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (!routes[i].target.key().empty()) continue;
    const std::string before = key_names(old.targets()[i]);
    const std::string now = key_names(plan.targets()[i]);
    if (before == now) continue;
    return fail(ErrorKind::conflict,
                "the table has changed: the primary key of " +
                    plan.targets()[i].table.quoted_name() + " was (" + before + ") and is (" + now +
                    "), by which other rows would be one",
                "bring the key back, or say in " + routes[i].place + " which one is meant (key: [" +
                    now + "]) and start the process again");
  }
  return {};
}

}  // namespace

std::string key_names(const Target& target) {
  std::string names;
  for (const std::uint16_t column : target.key) {
    names += (names.empty() ? "" : ", ") + target.table.columns[column].name;
  }
  return names;
}

config::Problems check_offline(const config::Loaded& loaded, int index) {
  config::Problems problems = plan::check_expressions(loaded, index);
  if (problems.empty()) {
    if (auto declared = plan::declared_tables(loaded, index); !declared) {
      problems = std::move(declared.error());
    }
  }
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
  return {.problems = {plan::problem_at(loaded, index, path, error.message, error.hint)},
          .is_away = is_away(error),
          .database_answers = !is_away(error) || postgres::is_answer(error.sqlstate)};
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
    if (const auto granted = offsets::check_schema(database, stop); !granted) {
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
  if (const auto granted = offsets::check_schema(database, stop); !granted) {
    return refuse(granted.error());
  }
  return *std::move(server);
}

// A table as it is, or as it has been made, and what is to be done first.
struct Described {
  std::optional<TableDescription> table;  // there is none yet
  std::string statement;                  // empty: nothing is to be done
};

// What is wrong, and where: in the route's place.
struct Mistake {
  std::string below;  // such as "table"
  Error error;
};

// The types that the configuration names, as SQL.
std::expected<postgres::DeclaredTable, Mistake> with_types(const plan::Declaration& declared,
                                                           postgres::Pool& database,
                                                           const std::stop_token& stop) {
  postgres::DeclaredTable table = declared.table;
  for (postgres::DeclaredColumn& column : table.columns) {
    const auto named = declared.named_types.find(column.name);
    if (named == declared.named_types.end()) continue;
    auto type = postgres::read_type(database, named->second, stop);
    if (!type) {
      type.error().message = "column '" + column.name + "': " + type.error().message;
      return std::unexpected(
          Mistake{config::child_path("types", column.name), std::move(type.error())});
    }
    column.type = *std::move(type);
  }
  return table;
}

// The table `name`, after what is lacking of it has been made or looked up.
std::expected<Described, Mistake> describe(const std::string& name,
                                           const plan::Declaration& declared, Lacking lacking,
                                           postgres::Pool& database, const std::stop_token& stop) {
  const auto mistake = [](Error error) {
    return std::unexpected(Mistake{"table", std::move(error)});
  };
  auto table = postgres::describe_table(database, name, stop);
  const bool is_lacking = table
                              ? !postgres::lacking_columns(declared.table, *table).empty()
                              : declared.table.create && table.error().kind == ErrorKind::not_found;
  if (lacking == Lacking::is_a_problem || !is_lacking) {
    if (!table) return mistake(std::move(table.error()));
    return Described{*std::move(table), {}};
  }
  const auto wanted = with_types(declared, database, stop);
  if (!wanted) return std::unexpected(wanted.error());
  const bool is_made = lacking == Lacking::is_made;
  auto made = postgres::make_table(database, name, *wanted,
                                   is_made ? postgres::Ddl::run : postgres::Ddl::show, stop);
  if (!made) return mistake(std::move(made.error()));
  if (!is_made && table) return Described{*std::move(table), *std::move(made)};
  if (!is_made && !made->empty()) return Described{std::nullopt, *std::move(made)};
  table = postgres::describe_table(database, name, stop);
  if (!table) return mistake(std::move(table.error()));
  return Described{*std::move(table), {}};
}

// What is said of columns that are to be added is no mistake.
void leave_out_lacking(const config::Loaded& loaded, int index,
                       const std::vector<plan::Declaration>& declared,
                       const std::vector<TableDescription>& tables, config::Problems& problems) {
  const std::vector<plan::RouteSpec> routes = plan::routes_of(loaded.config.pipelines(index));
  const std::string pipeline = config::item_path("pipelines", static_cast<std::size_t>(index));
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const std::string place = pipeline + "." + routes[i].place;
    for (const auto& column : postgres::lacking_columns(declared[i].table, tables[i])) {
      const std::string path = column.name == routes[i].target.deleted_at()
                                   ? place + ".deleted_at"
                                   : config::child_path(place + ".columns", column.name);
      std::erase_if(problems, [&path](const auto& problem) { return problem.path == path; });
    }
  }
}

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_plan_on(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    const Topics& topics, postgres::Pool& database, Lacking lacking, const std::stop_token& stop) {
  auto declared = plan::declared_tables(loaded, index);
  if (!declared) return std::unexpected(Refusal{std::move(declared.error())});
  std::vector<TableDescription> tables;
  Refusal refusal;
  const std::vector<plan::RouteSpec> routes = plan::routes_of(loaded.config.pipelines(index));
  for (std::size_t i = 0; i < routes.size(); ++i) {
    auto described = describe(routes[i].target.table(), (*declared)[i], lacking, database, stop);
    if (!described) {
      const Error& error = described.error().error;
      const std::string place = routes[i].place + "." + described.error().below;
      if (is_away(error)) return std::unexpected(refusal_of(loaded, index, place, error));
      refusal.problems.push_back(plan::problem_at(loaded, index, place, error.message, error.hint));
      continue;
    }
    if (described->table) tables.push_back(*std::move(described->table));
    if (!described->statement.empty() &&
        !std::ranges::contains(refusal.statements, described->statement)) {
      refusal.statements.push_back(std::move(described->statement));
    }
  }
  if (tables.size() < routes.size()) return std::unexpected(std::move(refusal));

  auto plan = plan::compile(loaded, index, std::move(server), tables, topics);
  if (plan && refusal.statements.empty()) return std::move(*plan);
  if (!plan) refusal.problems = std::move(plan.error());
  if (!refusal.statements.empty()) {
    leave_out_lacking(loaded, index, *declared, tables, refusal.problems);
  }
  return std::unexpected(std::move(refusal));
}

}  // namespace

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_plan(
    const config::Loaded& loaded, int index, postgres::Pool& database, Lacking lacking,
    const std::stop_token& stop) {
  auto server = make_server(loaded, index, database, stop);
  if (!server) return std::unexpected(std::move(server.error()));
  return make_plan_on(loaded, index, *std::move(server),
                      plan::topics_of(loaded.config.pipelines(index)), database, lacking, stop);
}

std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_topic_plan(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    const std::string& topic, const Topics& topics, postgres::Pool& database,
    const std::stop_token& stop) {
  const auto spec = plan::for_topic(loaded.config.pipelines(index), topic);
  if (!spec) return std::unexpected(refusal_of(loaded, index, "sink", spec.error()));
  config::Loaded resolved = loaded;
  *resolved.config.mutable_pipelines(index) = *spec;
  auto plan = make_plan_on(resolved, index, std::move(server), topics, database,
                           Lacking::is_a_problem, stop);
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
                                                                   Lacking lacking,
                                                                   const std::stop_token& stop) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  if (!config::names_tables_by_topic(spec)) {
    auto plan = make_plan(loaded, index, database, lacking, stop);
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
  const auto declared = plan::declared_tables(loaded, index);
  if (!declared) {  // as it was at the start
    return fail(ErrorKind::internal, declared.error().front().message);
  }
  std::vector<TableDescription> tables;
  for (const Target& target : old.targets()) {
    auto described = describe(target.table.quoted_name(), (*declared)[target.number],
                              Lacking::is_made, database, stop);
    if (!described) {
      Error& error = described.error().error;
      // Somebody else's lock is for people to see, and not a database that is away.
      if (postgres::waits_for_lock(error.sqlstate)) error.kind = ErrorKind::conflict;
      return std::unexpected(std::move(error));
    }
    tables.push_back(*std::move(described->table));
  }
  auto plan = plan::compile(loaded, index, old.server(), tables, old.topics());
  if (plan) {
    if (auto kept = keeps_columns(loaded.config.pipelines(index), old, **plan); !kept) {
      return std::unexpected(kept.error());
    }
    if (auto kept = keeps_keys(loaded.config.pipelines(index), old, **plan); !kept) {
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
