// ./dev demo: the demonstration as a program of its own, beside the server's binary.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "harness/demo.h"

int main(int argc, char** argv) {
  penstock::harness::DemoOptions options;
  CLI::App app{"Watch Penstock being killed half way, and count that nothing was lost or doubled",
               "./dev demo"};
  app.add_option("--records", options.records, "How many orders to produce")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rate", options.rate, "Orders per second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--json", options.json, "End with one JSON object of the figures");
  app.add_flag("--no-crash", options.no_crash, "Do not pull the plug");
  app.add_flag("--keep", options.keep,
               "Leave everything running afterwards and print the addresses; Ctrl-C ends it");
  app.footer(
      "Starts a private Kafka and PostgreSQL, produces orders with one bad record in a thousand,\n"
      "kills `penstock serve` with SIGKILL half way, starts it again, and compares what is in\n"
      "PostgreSQL with what was produced. Exit status 0 only if nothing was lost, doubled or out\n"
      "of order.");
  try {
    app.parse(argc, argv);
    return penstock::harness::run_demo(options, std::cout);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "./dev demo: " << error.what() << "\n";
    return 1;
  }
}
