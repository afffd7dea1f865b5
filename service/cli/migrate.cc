#include <CLI/CLI.hpp>
#include <format>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/options.h"
#include "config/load.h"
#include "config/mask.h"
#include "offsets/migrations.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  std::string database;
  int steps = 1;
  bool drop = false;
};

// The databases to migrate: the one that was named, or every one that the pipelines write to.
bool databases_of(const Options& options, std::set<std::string>& databases) {
  if (!options.database.empty()) {
    databases.insert(options.database);
    return true;
  }
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return false;
  for (const v1::PipelineSpec& spec : loaded.config.pipelines()) {
    databases.insert(spec.sink().postgres());
  }
  return true;
}

// Runs `act` on every database; the first failure ends it.
template <typename Act>
int for_each_database(const Options& options, Act act) {
  std::set<std::string> databases;
  if (!databases_of(options, databases)) return kUsage;
  for (const std::string& database : databases) {
    if (databases.size() > 1) std::cout << config::mask_conninfo(database) << "\n";
    const Result<void> result = act(database);
    if (!result) return report(result.error());
  }
  return kOk;
}

Result<void> print_versions(const Result<std::vector<int>>& versions, std::string_view verb,
                            std::string_view none) {
  if (!versions) return std::unexpected(versions.error());
  for (const int version : *versions) std::cout << std::format("{} {:04}\n", verb, version);
  if (versions->empty()) std::cout << none << "\n";
  return {};
}

Result<void> print_status(const std::string& database) {
  const auto migrations = offsets::status(database);
  if (!migrations) return std::unexpected(migrations.error());
  for (const offsets::MigrationStatus& migration : *migrations) {
    std::cout << std::format("{:04}  {:<40}  {:<8}  {}\n", migration.version, migration.name,
                             offsets::to_string(migration.state), migration.applied_at);
  }
  return {};
}

CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
              const std::shared_ptr<Options>& options) {
  CLI::App* command = parent.add_subcommand(name, description);
  add_database(*command, options->config, options->database,
               "The same: every database that its pipelines write to");
  set_example(*command, "penstock migrate " + name + " orders.yaml");
  return command;
}

}  // namespace

void add_migrate(CLI::App& app, int& exit_status) {
  CLI::App* migrate = app.add_subcommand(
      "migrate", "Create, update or take back Penstock's own schema in the target database");
  migrate->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  add(*migrate, "up", "Apply what is pending", options)->callback([options, &exit_status] {
    exit_status = for_each_database(*options, [](const std::string& database) {
      return print_versions(offsets::migrate_up(database), "applied", "nothing to do");
    });
  });
  CLI::App* down =
      add(*migrate, "down",
          "Take the newest migrations back, and with them positions and dead letters", options);
  down->add_option("--steps", options->steps, "How many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  down->add_flag("--yes-drop-positions", options->drop,
                 "Also if there are positions or dead letters: they cannot be brought back");
  down->callback([options, &exit_status] {
    exit_status = for_each_database(*options, [&](const std::string& database) {
      const auto stored = options->drop ? offsets::Stored::drop : offsets::Stored::refuse;
      return print_versions(offsets::migrate_down(database, options->steps, stored), "taken back",
                            "nothing to take back");
    });
  });
  add(*migrate, "status", "List the migrations and their state", options)
      ->callback(
          [options, &exit_status] { exit_status = for_each_database(*options, print_status); });
  // Not before: subcommands would take it over.
  migrate->footer(
      "The schema \"penstock\" holds positions and dead letters. Each migration runs in a "
      "transaction\nunder a lock, so that several processes may try at once.");
}

}  // namespace penstock::cli
