// The command line: one file per subcommand, put together here.
//
// Exit status: 0 done; 1 it was tried and failed; 2 the command line or the configuration is
// wrong; 3 `serve` was told to end, and left although something hung. Errors go to stderr, results
// to stdout.
#pragma once

#include <string>

#include "config/environment.h"
#include "config/problem.h"
#include "core/error.h"

namespace CLI {
class App;
}  // namespace CLI

namespace penstock::config {
struct Loaded;
}  // namespace penstock::config

namespace penstock::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kForced = 3;
inline constexpr int kBroken = 4;

// Parses the command line and runs the subcommand. Returns the exit status; never throws.
int run(int argc, const char* const* argv);

// Each adds its subcommand to `app`; running it sets `exit_status`.
void add_serve(CLI::App& app, int& exit_status);
void add_ctl(CLI::App& app, int& exit_status);
void add_check(CLI::App& app, int& exit_status);
void add_test(CLI::App& app, int& exit_status);
void add_migrate(CLI::App& app, int& exit_status);
void add_offsets(CLI::App& app, int& exit_status);
void add_dead_letters(CLI::App& app, int& exit_status);
void add_verify(CLI::App& app, int& exit_status);
void add_eval(CLI::App& app, int& exit_status);
void add_functions(CLI::App& app, int& exit_status);
void add_version(CLI::App& app, int& exit_status);

// "penstock: MESSAGE (HINT)" on stderr; returns kFailed.
int report(const Error& error);

// Loads a configuration file; on problems prints all of them with their places, and returns false.
bool load_config(const std::string& file, config::Loaded& loaded,
                 config::Servers servers = config::Servers::needed);

// The file descriptor is a terminal, and NO_COLOR is not set (https://no-color.org).
[[nodiscard]] bool wants_colour(int fd);

// Problems with their places on stderr, coloured on a terminal.
void print(const config::Problems& problems);

}  // namespace penstock::cli
