#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/cli.h"

namespace penstock::cli {
namespace {

CLI::Option* add_file(CLI::App& command, std::string& file) {
  return command.add_option("file", file, "Configuration file")->type_name("FILE");
}

CLI::Option* add_config_option(CLI::App& command, std::string& file, const std::string& what) {
  return command.add_option("-c,--config", file, what)->type_name("FILE");
}

CLI::Option* add_database_option(CLI::App& command, std::string& database) {
  return command.add_option("--database", database, "Connection string of one database")
      ->type_name("CONNINFO");
}

void set_usage(CLI::App& command, std::string_view sources) {
  std::string path = command.get_name();
  for (const CLI::App* one = command.get_parent(); one != nullptr; one = one->get_parent()) {
    path = one->get_name() + " " + path;
  }
  command.usage("Usage: " + path + " [OPTIONS] " + std::string(sources));
}

// CLI11's own words for this speak of option groups, and its usage of none of it.
void require_one(CLI::App& command, std::vector<CLI::Option*> sources, std::string all) {
  command.parse_complete_callback([sources = std::move(sources), all = std::move(all)] {
    const auto given =
        std::ranges::count_if(sources, [](const CLI::Option* one) { return one->count() > 0; });
    if (given == 0) throw CLI::ParseError("one of these is needed: " + all, kUsage);
    if (given > 1) throw CLI::ParseError("only one of these may be given: " + all, kUsage);
  });
}

}  // namespace

void add_config(CLI::App& command, std::string& file) {
  require_one(command, {add_file(command, file), add_config_option(command, file, "The same")},
              "FILE or --config FILE");
  set_usage(command, "FILE | --config FILE");
}

void add_database(CLI::App& command, std::string& file, std::string& database,
                  const std::string& config) {
  require_one(command,
              {add_file(command, file), add_config_option(command, file, config),
               add_database_option(command, database)},
              "FILE, --config FILE or --database CONNINFO");
  set_usage(command, "FILE | --config FILE | --database CONNINFO");
}

void add_database_by_name(CLI::App& command, std::string& file, std::string& database,
                          const std::string& config) {
  require_one(command,
              {add_config_option(command, file, config), add_database_option(command, database)},
              "--config FILE or --database CONNINFO");
}

void set_example(CLI::App& command, const std::string& example) {
  command.footer("Example:\n  " + example);
}

}  // namespace penstock::cli
