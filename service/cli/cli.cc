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
#include <utility>
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
  if (file.empty()) {
    report({ErrorKind::invalid_argument,
            "the name of the configuration file, or the connection string, is empty",
            "perhaps a variable of the shell that stands there is not set", ""});
    return false;
  }
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

// Those with a name: others are groups of options.
std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); });
}

void add_option_names(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    add_option_names(*one, names);
  }
}

// The option of the command, or of one of its own.
const CLI::Option* find_option(const CLI::App& app, const std::string& name) {
  const CLI::Option* found = app.get_option_no_throw(name);
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (found == nullptr) found = find_option(*one, name);
  }
  return found;
}

// "--name" of "--name=value", "-n" of "-nvalue".
std::string_view option_in(std::string_view word) {
  return word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
}

// The option that was meant by one that nobody knows.
std::string option_meant(const CLI::App& app, std::string_view wrong) {
  std::vector<std::string> names;
  add_option_names(app, names);
  const std::vector<std::string_view> views(names.begin(), names.end());
  return text::did_you_mean(option_in(wrong), views);
}

// The words as CLI11 wants them: what stands before a command and is an option of it, behind it.
// Names the command or the option that there is not: CLI11 would say that a command is missing.
Result<std::vector<std::string>> in_order(const CLI::App& app, std::span<const char* const> words) {
  std::vector<std::string> ordered;
  std::vector<std::string> held;  // options of commands that are not known yet
  const CLI::App* command = &app;
  std::string path = app.get_name();
  std::size_t at = 0;
  for (; at < words.size() && !commands_of(*command).empty(); ++at) {
    const std::string word = words[at];
    if (word.starts_with('-')) {
      const std::string name(option_in(word));
      const CLI::Option* const option = find_option(*command, name);
      if (option == nullptr) {
        return fail(ErrorKind::invalid_argument, "there is no option '" + name + "' of " + path,
                    option_meant(*command, word));
      }
      const bool is_own = command->get_option_no_throw(name) != nullptr;  // --help
      std::vector<std::string>& place = is_own ? ordered : held;
      place.push_back(word);
      const bool has_value = word != name || option->get_items_expected_min() == 0;
      if (!has_value && at + 1 < words.size()) place.emplace_back(words[++at]);
      continue;
    }
    std::vector<std::string_view> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* one : commands_of(*command)) {
      names.emplace_back(one->get_name());
      if (one->get_name() == word) next = one;
    }
    if (next == nullptr) {
      return fail(ErrorKind::invalid_argument, "there is no command '" + word + "' of " + path,
                  word == "help" ? "`" + path + " --help` says more" : text::suggest(word, names));
    }
    command = next;
    path += " " + word;
    ordered.push_back(word);
  }
  ordered.insert(ordered.end(), held.begin(), held.end());
  ordered.insert(ordered.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return ordered;
}

// The command that was asked for, as far as it was understood.
const CLI::App& command_of(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string path_of(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    if (!command->get_name().empty()) path += " " + command->get_name();
  }
  return path;
}

// What CLI11 says of a value that does not fit: "Could not convert: id = abc", "--partition: Value
// x not in range [0 - 1.79769e+308]". Empty: it says something else.
std::string of_value(const CLI::App& command, std::string_view what) {
  constexpr std::string_view kConversion = "Could not convert: ";
  constexpr std::string_view kValue = ": Value ";
  std::string name;
  std::string value;
  if (const std::size_t equals = what.find(" = ");
      what.starts_with(kConversion) && equals != std::string_view::npos) {
    name = what.substr(kConversion.size(), equals - kConversion.size());
    value = what.substr(equals + 3);
  } else if (const std::size_t range = what.find(" not in range [0 - 1.7");
             range != std::string_view::npos && what.contains(kValue)) {
    const std::size_t end = what.find(kValue);
    name = what.substr(0, end);
    value = what.substr(end + kValue.size(), range - end - kValue.size());
  } else {
    return {};
  }
  const CLI::Option* const option = find_option(command, name);
  const bool is_flag = option != nullptr && option->get_items_expected_max() == 0;
  return name +
         (is_flag ? " takes no value" : " takes a whole number of 0 or more, not '" + value + "'");
}

// What CLI11 found, like every other error.
std::string in_our_words(const CLI::App* app, const CLI::Error& error) {
  std::string what = error.what();
  std::string hint = "`" + path_of(*app) + " --help` says more";
  if (std::string said = of_value(command_of(*app), what); !said.empty()) what = std::move(said);
  if (what == "A subcommand is required") {
    what = path_of(*app) + " needs a command";
    std::vector<std::string_view> names;
    for (const CLI::App* one : commands_of(command_of(*app))) names.emplace_back(one->get_name());
    hint = text::suggest("", names) + "; " + hint;
  }
  return "penstock: " + text::printable(what) + "\n  " + hint + "\n";
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
    auto ordered = in_order(app, words.subspan(1));
    if (!ordered) return report(ordered.error());
    std::ranges::reverse(*ordered);  // CLI11 takes them from the end
    app.parse(*std::move(ordered));
  } catch (const CLI::ExtrasError& error) {
    static_cast<void>(app.exit(error));
    const std::string_view what = error.what();
    const CLI::App& command = command_of(app);
    const std::string_view wrong = what.substr(what.rfind(' ') + 1);
    const std::string meant = option_meant(command, wrong);
    if (command.get_name() == "eval" && wrong.starts_with('-') && !wrong.starts_with("--")) {
      std::cerr << "  an expression that begins with a minus stands in parentheses: '(" << wrong
                << ")'\n";
    } else if (!meant.empty()) {
      std::cerr << "  " << meant << "\n";
    }
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
