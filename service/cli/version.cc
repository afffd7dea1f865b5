#include "app/version.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/cli.h"

namespace penstock::cli {

void add_version(CLI::App& app, int& /*exit_status*/) {
  app.add_subcommand("version", "Print the version")->callback([] {
    std::cout << "penstock " << version() << "\n";
  });
}

}  // namespace penstock::cli
