#include "cli/dead_letter_filter.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <utility>

namespace penstock::cli {

using dead_letters::Filter;

void add_filters(CLI::App& command, FilterOptions& options) {
  constexpr const char* kGroup = "Which dead letters (all that is said has to hold)";
  const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
    return command.add_option(name, value, what)->type_name(type)->group(kGroup);
  };
  Filter& filter = options.filter;
  add("-p,--pipeline", filter.pipeline, "Of this pipeline", "NAME");
  add("--table", filter.table, "That were meant for this table", "[SCHEMA.]TABLE");
  add("--stage", filter.stage, "Rejected by this stage: parse, compute, encode or write", "STAGE")
      ->check(CLI::IsMember({"parse", "compute", "encode", "write"}));
  add("--reason", filter.reason, "For this reason, such as invalid_json", "NAME");
  add("--sqlstate", options.sqlstate, "That PostgreSQL refused with this code, or class of codes",
      "SQLSTATE");
  add("--since", options.since, "First seen since then: an age such as 2h, or a time (UTC)",
      "TIME");
  add("--until", options.until, "First seen before then, likewise", "TIME");
  add("--key", options.key, "Whose record has this key; \\x and hexadecimal digits for bytes",
      "KEY");
  add("--id", filter.ids, "With this id; may be given several times", "N")->delimiter(',');
}

Result<Filter> filter_of(const FilterOptions& options) {
  Filter filter = options.filter;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  for (const auto& [text, time] :
       {std::pair(&options.since, &filter.since), std::pair(&options.until, &filter.until)}) {
    if (text->empty()) continue;
    auto read = dead_letters::read_time(*text, seconds);
    if (!read) return std::unexpected(read.error());
    *time = *std::move(read);
  }
  if (!options.key.empty()) {
    auto key = dead_letters::read_key(options.key);
    if (!key) return std::unexpected(key.error());
    filter.key = *std::move(key);
  }
  if (!options.sqlstate.empty()) {
    auto state = dead_letters::read_sqlstate(options.sqlstate);
    if (!state) return std::unexpected(state.error());
    filter.sqlstate = *std::move(state);
  }
  return filter;
}

}  // namespace penstock::cli
