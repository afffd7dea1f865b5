#include "demo/demo.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/cli.h"

namespace penstock::cli {

void add_demo(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<demo::DemoOptions>();
  CLI::App* command = app.add_subcommand(
      "demo", "Watch Penstock being killed half way, and count that nothing was lost or doubled");
  command->add_option("--records", options->records, "How many orders to produce")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--rate", options->rate, "Orders per second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", options->json, "End with one JSON object of the figures");
  command->add_flag("--no-crash", options->no_crash, "Do not pull the plug");
  command->add_flag("--keep", options->keep,
                    "Leave everything running afterwards and print the addresses; Ctrl-C ends it");
  command->footer(
      "Starts a private Kafka and PostgreSQL, produces orders with one bad record in a thousand,\n"
      "kills `penstock serve` with SIGKILL half way, starts it again, and compares what is in\n"
      "PostgreSQL with what was produced. Exit status 0 only if nothing was lost, doubled or out\n"
      "of order. `./dev demo` runs it with everything it needs.");
  command->callback([options, &exit_status] { exit_status = demo::run_demo(*options, std::cout); });
}

}  // namespace penstock::cli
