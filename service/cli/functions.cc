#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "cel/reference.h"
#include "cli/cli.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string word;
  bool markdown = false;
};

bool mentions(const cel::ReferenceEntry& entry, const std::string& word) {
  const auto has = [&](std::string_view text) {
    return !std::ranges::search(text, word, {}, tolower, tolower).empty() || word.empty();
  };
  return has(entry.group) || has(entry.sentence) || std::ranges::any_of(entry.signatures, has);
}

int list(const Options& options) {
  if (options.markdown) {
    std::cout << cel::reference_page();
    return kOk;
  }
  std::string_view group;
  for (const cel::ReferenceEntry& entry : cel::reference()) {
    if (!mentions(entry, options.word)) continue;
    if (entry.group != group) {
      std::cout << (group.empty() ? "" : "\n") << entry.group << "\n";
      group = entry.group;
    }
    for (const std::string& signature : entry.signatures) std::cout << "\n  " << signature;
    std::cout << "\n      " << entry.sentence << "\n      " << entry.example << "\n";
  }
  if (!group.empty()) return kOk;
  return report({ErrorKind::not_found, "no function mentions '" + options.word + "'",
                 "`penstock functions` without a word lists all of them", ""});
}

}  // namespace

void add_functions(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* functions =
      app.add_subcommand("functions", "List what CEL expressions can use, each with an example");
  functions->add_option("word", options->word, "Only what mentions this word")->type_name("WORD");
  functions->add_flag("--markdown", options->markdown,
                      "Print the page of the manual, docs/reference/cel.md, instead");
  functions->footer(
      "Examples:\n"
      "  penstock functions            everything\n"
      "  penstock functions split      what splits, or has to do with it\n"
      "  penstock functions timestamp");
  functions->callback([options, &exit_status] { exit_status = list(*options); });
}

}  // namespace penstock::cli
