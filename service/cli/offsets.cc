#include "offsets/registry.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <format>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/start_up.h"
#include "cli/cli.h"
#include "config/load.h"
#include "config/mask.h"
#include "flow/stage_options.h"
#include "postgres/pool.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  std::string database;
  std::string pipeline;
  std::string new_name;
  bool stopped = false;
  bool drop = false;

  [[nodiscard]] offsets::Claimed claimed() const {
    return stopped ? offsets::Claimed::ended : offsets::Claimed::refuse;
  }
};

// The number of the pipeline in the file; -1: there is none of this name.
int index_of(const config::Loaded& loaded, const std::string& name) {
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    if (loaded.config.pipelines(i).name() == name) return i;
  }
  return -1;
}

// The databases that are meant: the one that was named, that of a pipeline of this name in the
// file, or all of the file.
bool databases_of(const Options& options, const std::string& name, std::set<std::string>& found) {
  if (!options.database.empty()) {
    found.insert(options.database);
    return true;
  }
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return false;
  const int index = index_of(loaded, name);
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    if (index < 0 || i == index) found.insert(loaded.config.pipelines(i).sink().postgres());
  }
  return true;
}

int list(const Options& options) {
  std::set<std::string> databases;
  if (!databases_of(options, "", databases)) return kUsage;
  for (const std::string& conninfo : databases) {
    if (databases.size() > 1) std::cout << config::mask_conninfo(conninfo) << "\n";
    postgres::Pool pool({.conninfo = conninfo});
    const auto positions = offsets::positions(pool);
    if (!positions) return report(positions.error());
    for (const offsets::Position& position : *positions) {
      std::cout << std::format("{:<24}  {}[{}]  {}  {}  {}\n", position.pipeline, position.topic,
                               position.partition, position.next_offset, position.updated_at,
                               position.owner.empty() ? "-" : position.owner);
    }
    if (positions->empty()) std::cout << "no positions\n";
  }
  return kOk;
}

// Runs `act` on the one database that is meant.
template <typename Act>
int in_database(const Options& options, const std::string& name, Act act) {
  std::set<std::string> databases;
  if (!databases_of(options, name, databases)) return kUsage;
  if (databases.size() > 1) {
    return report({ErrorKind::invalid_argument,
                   "the pipelines of " + options.config + " write to several databases",
                   "name the one that is meant with --database", ""});
  }
  postgres::Pool pool({.conninfo = *databases.begin()});
  return act(pool);
}

int rename(const Options& options) {
  return in_database(options, options.new_name, [&](postgres::Pool& pool) {
    const auto moved = offsets::rename(pool, options.pipeline, options.new_name, options.claimed());
    if (!moved) return report(moved.error());
    std::cout << std::format("{} positions of '{}' belong to '{}' now\n", *moved, options.pipeline,
                             options.new_name);
    return kOk;
  });
}

int forget(const Options& options) {
  if (!options.drop) {
    return report({ErrorKind::invalid_argument,
                   "this drops every position of '" + options.pipeline +
                       "': a pipeline of that name would read its topics anew",
                   "if that is meant to be, say --yes-drop-positions", ""});
  }
  return in_database(options, options.pipeline, [&](postgres::Pool& pool) {
    const auto dropped = offsets::forget(pool, options.pipeline, options.claimed());
    if (!dropped) return report(dropped.error());
    std::cout << std::format("dropped {} positions of '{}'\n", *dropped, options.pipeline);
    return kOk;
  });
}

int adopt(const Options& options) {
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  const int index = index_of(loaded, options.pipeline);
  if (index < 0) {
    return report({ErrorKind::invalid_argument,
                   "there is no pipeline '" + options.pipeline + "' in " + options.config, "", ""});
  }
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto cluster = flow::probe_kafka(spec, std::chrono::seconds(10));
  if (!cluster) return report(cluster.error());
  postgres::Pool pool({.conninfo = spec.sink().postgres()});
  const auto plan = app::make_plan(loaded, index, pool);
  if (!plan) {
    print(plan.error().problems);
    return kUsage;
  }
  const auto adopted =
      offsets::adopt(pool, app::identity_of(spec, **plan, *cluster), options.claimed());
  if (!adopted) return report(adopted.error());
  std::cout << std::format("the positions of '{}' belong to the pipeline as it is in {} now\n",
                           options.pipeline, options.config);
  return kOk;
}

void add_stopped(CLI::App& command, Options& options) {
  command.add_flag("--yes-it-is-stopped", options.stopped,
                   "No process of the pipeline runs, although one has claims: it crashed");
}

CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
              Options& options) {
  CLI::App* command = parent.add_subcommand(name, description);
  auto* from = command->add_option_group("database", "which database");
  from->add_option("-c,--config", options.config, "Configuration file whose pipelines write there")
      ->type_name("FILE");
  from->add_option("--database", options.database, "Connection string")->type_name("CONNINFO");
  from->require_option(1);
  return command;
}

void add_pipeline(CLI::App& command, std::string& name, const char* type, const char* what) {
  command.add_option(type, name, what)->required()->type_name("NAME");
}

}  // namespace

void add_offsets(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* offsets =
      app.add_subcommand("offsets", "Look at and settle whose the stored positions are");
  offsets->require_subcommand(1);
  offsets->footer(
      "Positions go by the name of the pipeline. Stop every process of it before you change "
      "them.\n\n"
      "Examples:\n"
      "  penstock offsets list --config orders.yaml\n"
      "  penstock offsets rename orders orders-v2 --config orders.yaml\n"
      "  penstock offsets adopt orders --config orders.yaml");
  add(*offsets, "list", "Every position, with who has claimed it", *options)
      ->callback([options, &exit_status] { exit_status = list(*options); });

  CLI::App* renaming =
      add(*offsets, "rename", "Let a pipeline go on under a new name where it stood", *options);
  add_pipeline(*renaming, options->pipeline, "from", "Its name until now");
  add_pipeline(*renaming, options->new_name, "to", "Its name from now on");
  add_stopped(*renaming, *options);
  renaming->callback([options, &exit_status] { exit_status = rename(*options); });

  CLI::App* adopting = offsets->add_subcommand(
      "adopt", "Let a pipeline go on where it stood, with another group, cluster or table");
  adopting->add_option("-c,--config", options->config, "Configuration file, with what is new")
      ->required()
      ->type_name("FILE");
  add_pipeline(*adopting, options->pipeline, "pipeline", "Name of the pipeline");
  add_stopped(*adopting, *options);
  adopting->callback([options, &exit_status] { exit_status = adopt(*options); });

  CLI::App* forgetting =
      add(*offsets, "forget", "Drop a pipeline that is gone for good, and its positions", *options);
  add_pipeline(*forgetting, options->pipeline, "pipeline", "Name of the pipeline");
  forgetting->add_flag("--yes-drop-positions", options->drop, "It is meant to be");
  add_stopped(*forgetting, *options);
  forgetting->callback([options, &exit_status] { exit_status = forget(*options); });
}

}  // namespace penstock::cli
