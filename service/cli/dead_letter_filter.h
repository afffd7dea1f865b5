// The filters of `penstock dead-letters`, in the same words for every command.
//
// Threads: the main one. Failure: `invalid_argument`, with what would do.
#pragma once

#include <string>

#include "core/error.h"
#include "dead_letters/filter.h"

namespace CLI {
class App;
}  // namespace CLI

namespace penstock::cli {

struct FilterOptions {
  dead_letters::Filter filter;  // but for what is text yet:
  std::string since;
  std::string until;
  std::string key;
  std::string sqlstate;
};

void add_filters(CLI::App& command, FilterOptions& options);

// What is meant, as of now.
[[nodiscard]] Result<dead_letters::Filter> filter_of(const FilterOptions& options);

}  // namespace penstock::cli
