#include "cli/cli.h"

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/version.h"
#include "config/load.h"
#include "text/nearest_names.h"
#include "text/printable.h"

namespace penstock::cli {
namespace {

constexpr const char* kDescription =
    "Penstock moves records from Apache Kafka into PostgreSQL and computes on the way:\n"
    "exactly once, in order, and under control while it runs.";

constexpr const char* kFooter = R"(Begin here:
  penstock check --config orders.yaml --online   find every mistake before it runs
  penstock test --config orders.yaml             run the tests that stand beside the pipelines
  penstock migrate up --config orders.yaml       make Penstock's own schema in the target database
  penstock serve --config orders.yaml            run, until SIGTERM
  penstock offsets list --config orders.yaml     where every pipeline stands
  penstock dead-letters list -c orders.yaml      the records that could not become rows
  penstock verify orders --config orders.yaml    whether its tables hold what its records say
  penstock ctl list                              what a running process does; pause, resume, drain
  penstock eval 'msg.a + 1' --msg '{"a": 1}'     try an expression

Exit status: 0 done, 1 tried and failed, 2 the command line or the configuration is wrong.
`penstock COMMAND --help` says more.)";

}  // namespace

int report(const Error& error) {
  using text::Lines;
  std::cerr << "penstock: " << text::printable(error.message, Lines::keep) << "\n";
  if (!error.hint.empty()) std::cerr << "  " << text::printable(error.hint, Lines::keep) << "\n";
  return error.kind == ErrorKind::invalid_argument ? kUsage : kFailed;
}

bool load_config(const std::string& file, config::Loaded& loaded, config::Servers servers) {
  auto result = config::load_file(file, config::process_environment(), servers);
  if (!result) {
    print(result.error());
    return false;
  }
  loaded = std::move(*result);
  return true;
}

bool wants_colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(fd) != 0 && (no_colour == nullptr || *no_colour == '\0');
}

void print(const config::Problems& problems) {
  const auto colour = wants_colour(STDERR_FILENO) ? config::Colour::on : config::Colour::off;
  const std::span all(problems);
  const std::size_t shown = std::min(all.size(), config::kMostProblems + 1);
  std::cerr << config::render(all.first(shown), colour);
  if (shown < all.size()) std::cerr << "and " << all.size() - shown << " more mistakes\n";
}

namespace {

// CLI11 says that a subcommand is missing when one is spelled wrong.
Result<void> check_words(const CLI::App& app, std::span<const char* const> words) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  for (const std::string_view word : words) {
    if (command->get_subcommands([](const CLI::App*) { return true; }).empty()) return {};
    if (word.starts_with('-')) continue;
    std::vector<std::string_view> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* one : command->get_subcommands([](const CLI::App*) { return true; })) {
      if (one->get_name().empty()) continue;  // a group of options
      names.emplace_back(one->get_name());
      if (one->get_name() == word) next = one;
    }
    if (names.empty()) return {};
    if (next == nullptr) {
      return fail(ErrorKind::invalid_argument,
                  "there is no command '" + std::string(word) + "' of " + path,
                  text::suggest(word, names));
    }
    command = next;
    path += " " + std::string(word);
  }
  return {};
}

// The command that was asked for, as far as it was understood.
std::string path_of(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    if (!command->get_name().empty()) path += " " + command->get_name();
  }
  return path;
}

// What CLI11 found, like every other error.
std::string in_our_words(const CLI::App* app, const CLI::Error& error) {
  return "penstock: " + text::printable(error.what()) + "\n  `" + path_of(*app) +
         " --help` says more\n";
}

// The option that was meant by one that nobody knows.
std::string option_meant(const CLI::App& app, std::string_view wrong) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::vector<std::string> names;
  const auto add = [&](const CLI::App& of) {
    for (const CLI::Option* option : of.get_options([](const CLI::Option*) { return true; })) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  };
  add(*command);
  for (const CLI::App* group : command->get_subcommands([](const CLI::App*) { return true; })) {
    if (group->get_name().empty()) add(*group);
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return text::did_you_mean(wrong.substr(0, wrong.find('=')), views);
}

}  // namespace

int run(int argc, const char* const* argv) {
  int exit_status = kOk;
  for (const std::string& name : config::tidy_process_environment()) {
    std::cerr << "penstock: the environment variable '" << name
              << "' ends in a line end, which is left out\n";
  }
  CLI::App app{kDescription, "penstock"};
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", "penstock " + std::string(version()));
  app.get_formatter()->column_width(34);
  add_serve(app, exit_status);
  add_ctl(app, exit_status);
  add_check(app, exit_status);
  add_test(app, exit_status);
  add_migrate(app, exit_status);
  add_offsets(app, exit_status);
  add_dead_letters(app, exit_status);
  add_verify(app, exit_status);
  add_eval(app, exit_status);
  add_functions(app, exit_status);
  add_version(app, exit_status);
  app.footer(kFooter);  // not before: subcommands would take it over
  app.failure_message(in_our_words);
  try {
    const std::span words(argv, static_cast<std::size_t>(argc));
    if (const auto known = check_words(app, words.subspan(1)); !known) return report(known.error());
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& error) {
    static_cast<void>(app.exit(error));
    const std::string_view what = error.what();
    const std::string meant = option_meant(app, what.substr(what.rfind(' ') + 1));
    if (!meant.empty()) std::cerr << "  " << meant << "\n";
    return kUsage;
  } catch (const CLI::ParseError& error) {
    // 0 when it was --help.
    return app.exit(error) == 0 ? kOk : kUsage;
  } catch (const std::exception& error) {
    std::cerr << "penstock: " << error.what() << "\n";
    return kFailed;
  }
  return exit_status;
}

}  // namespace penstock::cli
