#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <format>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "app/server_options.h"
#include "app/start_up.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "config/exposure.h"
#include "config/load.h"
#include "config/mask.h"
#include "flow/stage_options.h"
#include "kafka/probe.h"
#include "spec_test/run.h"
#include "text/plural.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  bool online = false;
  bool show = false;
};

// Checks one pipeline against its broker and its database. Adds what is wrong to `problems`.
void check_online(const config::Loaded& loaded, int index, config::Problems& problems) {
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
  postgres::Pool database({.conninfo = spec.sink().postgres()});
  const auto plan = app::make_plan(loaded, index, database);
  if (!plan) {
    const config::Problems& found = plan.error().problems;
    problems.insert(problems.end(), found.begin(), found.end());
  }
  if (!cluster || !plan) return;
  const auto entry = offsets::may_enter(database, app::identity_of(spec, **plan, *cluster), {});
  if (!entry) {
    problems.push_back(
        plan::problem_at(loaded, index, "name", entry.error().message, entry.error().hint));
    return;
  }
  for (const kafka::TopicReport& topic : cluster->topics) {
    std::cout << std::format("{}: topic {} with {}\n", spec.name(), topic.name,
                             text::counted(topic.partitions, "partition"));
  }
  for (const Target& target : (*plan)->targets()) {
    std::cout << std::format("{}: table {}.{}, {} of its {} columns are written\n", spec.name(),
                             target.table.schema, target.table.name,
                             (*plan)->written_columns(target.number).size(),
                             target.table.columns.size());
  }
}

int check(const Options& options) {
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  if (options.show) std::cout << config::to_masked_yaml(loaded.config);

  config::Problems problems;
  for (int index = 0; index < loaded.config.pipelines_size(); ++index) {
    config::Problems found = app::check_offline(loaded, index);
    const config::Problems tests = spec_test::check_tests(loaded, index);
    found.insert(found.end(), tests.begin(), tests.end());
    if (found.empty() && options.online) check_online(loaded, index, found);
    problems.insert(problems.end(), found.begin(), found.end());
  }
  const config::Problems of_server = app::check_server(loaded);
  problems.insert(problems.end(), of_server.begin(), of_server.end());
  if (!problems.empty()) {
    print(problems);
    return kUsage;
  }
  config::Problems warnings = loaded.notes;
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
