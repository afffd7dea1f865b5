// What several subcommands ask for in the same words.
//
// Threads: the main one. Failure: a CLI::ParseError while the command line is read.
#pragma once

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace penstock::cli {

// FILE or --config FILE, exactly one of them.
void add_config(CLI::App& command, std::string& file);

// The same, or --database CONNINFO. `config` says what a file stands for.
void add_database(CLI::App& command, std::string& file, std::string& database,
                  const std::string& config);

// --config FILE or --database CONNINFO, for commands whose words are names.
void add_database_by_name(CLI::App& command, std::string& file, std::string& database,
                          const std::string& config);

// A footer with one example, which is the command's own.
void set_example(CLI::App& command, const std::string& example);

}  // namespace penstock::cli
