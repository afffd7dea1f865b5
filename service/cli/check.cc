#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <format>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "app/server_options.h"
#include "app/start_up.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "config/exposure.h"
#include "config/load.h"
#include "config/mask.h"
#include "dead_letters/store.h"
#include "flow/stage_options.h"
#include "kafka/probe.h"
#include "postgres/catalog.h"
#include "postgres/own_schema.h"
#include "postgres/pool.h"
#include "spec_test/run.h"
#include "text/plural.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  bool online = false;
  bool show = false;
};

// The tables that the topics go to, or what a topic waits for: that is no mistake, because it is
// read from its beginning when they are there. Returns the plans that there are.
std::vector<flow::PlanPtr> print_tables(const std::string& pipeline, flow::PlanBook& plans,
                                        const kafka::ClusterReport& cluster) {
  std::vector<flow::PlanPtr> found;
  std::set<std::string> printed;
  for (const kafka::TopicReport& topic : cluster.topics) {
    const auto plan = plans.plan_for(topic.name, {});
    if (!plan) {
      std::cout << std::format("{}: topic {} is {}\n", pipeline, topic.name,
                               plan.error().to_string());
      continue;
    }
    const flow::PlanPtr known = plans.find(*plan);
    if (!std::ranges::contains(found, known)) found.push_back(known);
    for (const Target& target : known->targets()) {
      const std::string key =
          target.is_keyed() ? ", by the key (" + app::key_names(target) + ")" : "";
      std::string line = std::format("{}: table {}.{}, {} of its {} columns are written{}\n",
                                     pipeline, target.table.schema, target.table.name,
                                     known->written_columns(target.number).size(),
                                     target.table.columns.size(), key);
      if (printed.insert(line).second) std::cout << line;
    }
  }
  return found;
}

// Rows are written in the order of the routes, so that a parent has to come before its children.
void look_at_order(const config::Loaded& loaded, int index, const flow::PlanPtr& plan,
                   postgres::Pool& database, config::Problems& warnings) {
  const std::span<const Target> targets = plan->targets();
  for (const Target& child : targets) {
    if (targets.size() < 2) return;
    const auto keys = postgres::foreign_keys_of(database, child.table);
    if (!keys) continue;  // it has answered before, and this is no more than advice
    for (const postgres::ForeignKey& key : *keys) {
      const auto parent = std::ranges::find_if(targets, [&key](const Target& target) {
        return target.table.schema == key.parent_schema && target.table.name == key.parent;
      });
      if (parent == targets.end() || parent->number <= child.number) continue;
      const std::string place =
          config::item_path("sink.routes", static_cast<std::size_t>(child.number));
      warnings.push_back(plan::problem_at(
          loaded, index, place,
          std::format("rows of {} are written before those of {}, which its foreign key {} refers "
                      "to",
                      child.table.quoted_name(), parent->table.quoted_name(), key.name),
          std::format("list {} before {}: rows go in the order of the routes, and deletes in the "
                      "reverse one",
                      parent->route, child.route)));
    }
  }
}

// What makes nothing of a row that is written says no word of it: nobody sees that it is missing.
void look_at_swallowers(const config::Loaded& loaded, int index,
                        const std::set<std::string>& tables, postgres::Pool& database,
                        config::Problems& warnings) {
  const auto ask = [&database](const std::string& table) {
    const auto found = database.with_connection({}, std::chrono::seconds(10),
                                                [&table](postgres::Connection& connection) {
                                                  return postgres::swallowers_of(connection, table);
                                                });
    return found.value_or("");  // it has answered before, and this is no more than advice
  };
  for (const std::string table :
       {"penstock.offsets", "penstock.pipelines", "penstock.dead_letters"}) {
    if (const std::string found = ask(table); !found.empty()) {
      warnings.push_back(plan::problem_at(
          loaded, index, "sink.postgres", std::format("{} has {}", table, found),
          "where it makes nothing of a row, the pipeline stops: Penstock's own tables must keep "
          "what it writes"));
    }
  }
  for (const std::string& table : tables) {
    if (const std::string found = ask(table); !found.empty()) {
      std::cout << std::format(
          "{}: {} has {}: a row of which it makes nothing (RETURN NULL) is not written, and is no "
          "dead letter; penstock_rows_unchanged_total counts it\n",
          loaded.config.pipelines(index).name(), table, found);
    }
  }
}

// Checks one pipeline against its broker and its database. Adds what is wrong to `problems`, and
// what may be meant to `warnings`.
void check_online(const config::Loaded& loaded, int index, config::Problems& problems,
                  config::Problems& warnings) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto cluster = flow::probe_kafka(spec, std::chrono::seconds(10));
  if (!cluster) {
    const Error& error = cluster.error();
    problems.push_back(plan::problem_at(loaded, index, flow::place_of_probe_error(error),
                                        error.message, error.hint));
  }
  if (cluster && !cluster->missing.empty()) {
    const Error error = kafka::no_such_topics(cluster->missing);
    problems.push_back(plan::problem_at(loaded, index, "source", error.message, error.hint));
  }
  if (cluster) {
    const auto group = kafka::probe_group(flow::kafka_properties(spec), spec.source().group(),
                                          std::chrono::seconds(5));
    if (!group) {
      problems.push_back(plan::problem_at(loaded, index, "source.group", group.error().message,
                                          group.error().hint));
    }
  }
  const std::string& copies = spec.dead_letters().topic();
  if (cluster && !copies.empty()) {
    const auto writable =
        kafka::probe_writable(flow::kafka_properties(spec), copies, std::chrono::seconds(10));
    if (!writable) {
      problems.push_back(plan::problem_at(loaded, index, "dead_letters.topic",
                                          writable.error().message, writable.error().hint));
    }
  }
  postgres::Pool database({.conninfo = spec.sink().postgres()});
  const auto plans = app::make_plans(loaded, index, database, app::Lacking::is_shown);
  if (!plans) {
    const config::Problems& found = plans.error().problems;
    problems.insert(problems.end(), found.begin(), found.end());
    for (const std::string& statement : plans.error().statements) {
      std::cout << std::format("{}: `penstock serve` would run: {};\n", spec.name(), statement);
    }
  }
  if ((plans || !plans.error().statements.empty()) && !copies.empty()) {
    const auto granted = dead_letters::check_grants(database, {"SELECT", "UPDATE"});
    if (!granted) {
      problems.push_back(plan::problem_at(loaded, index, "dead_letters.topic",
                                          granted.error().message, granted.error().hint));
    }
  }
  const bool is_to_be_made = !plans && !plans.error().statements.empty();
  if (cluster && (plans || is_to_be_made)) {
    for (const kafka::TopicReport& topic : cluster->topics) {
      std::cout << std::format("{}: topic {} with {}\n", spec.name(), topic.name,
                               text::counted(topic.partitions, "partition"));
    }
  }
  if (is_to_be_made) look_at_swallowers(loaded, index, {}, database, warnings);
  if (!cluster || !plans) return;
  const auto entry = offsets::may_enter(database, app::identity_of(spec, **plans, *cluster), {});
  if (!entry) {
    problems.push_back(
        plan::problem_at(loaded, index, "name", entry.error().message, entry.error().hint));
    return;
  }
  std::set<std::string> tables;
  for (const flow::PlanPtr& plan : print_tables(spec.name(), **plans, *cluster)) {
    look_at_order(loaded, index, plan, database, warnings);
    for (const Target& target : plan->targets()) tables.insert(target.table.quoted_name());
  }
  look_at_swallowers(loaded, index, tables, database, warnings);
}

int check(const Options& options) {
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  if (options.show) std::cout << config::to_masked_yaml(loaded.config);

  config::Problems problems;
  config::Problems warnings = loaded.notes;
  for (int index = 0; index < loaded.config.pipelines_size(); ++index) {
    config::Problems found = app::check_offline(loaded, index);
    const config::Problems tests = spec_test::check_tests(loaded, index);
    found.insert(found.end(), tests.begin(), tests.end());
    if (found.empty() && options.online) check_online(loaded, index, found, warnings);
    problems.insert(problems.end(), found.begin(), found.end());
  }
  const config::Problems of_server = app::check_server(loaded);
  problems.insert(problems.end(), of_server.begin(), of_server.end());
  if (!problems.empty()) {
    print(problems);
    return kUsage;
  }
  std::ranges::move(config::exposures(loaded), std::back_inserter(warnings));
  for (config::Problem& warning : warnings) warning.message = "warning: " + warning.message;
  print(warnings);
  std::cout << options.config << ": " << text::counted(loaded.config.pipelines_size(), "pipeline")
            << ", no mistakes"
            << (options.online ? "" : " (broker and database not asked: --online)") << "\n";
  return kOk;
}

}  // namespace

void add_check(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("check", "Find every mistake in a configuration before it runs");
  add_config(*command, options->config);
  command->add_flag("--online", options->online,
                    "Also ask the broker for the topics and the database for the table");
  command->add_flag("--show", options->show,
                    "Print the configuration with defaults filled in and secrets masked");
  set_example(*command, "penstock check orders.yaml --online");
  command->callback([options, &exit_status] { exit_status = check(*options); });
}

}  // namespace penstock::cli
