#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cel/reference.h"
#include "cli/cli.h"
#include "text/nearest_names.h"

namespace penstock::cli {
namespace {

struct Options {
  std::vector<std::string> words;
  bool markdown = false;
};

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

enum class Place : std::uint8_t { nowhere, within_a_word, by_itself };

// Where the word is in the text, in either case, at its best; with an s it is still itself.
Place place_of(std::string_view text, std::string_view word) {
  Place best = Place::nowhere;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string_view after = text.substr(at);
    const std::size_t size = std::min(word.size(), after.size());
    if (!std::ranges::equal(after.substr(0, size), word, {}, tolower, tolower)) continue;
    after.remove_prefix(size);
    if (after.starts_with('s')) after.remove_prefix(1);
    const bool is_whole =
        (at == 0 || !is_letter(text[at - 1])) && (after.empty() || !is_letter(after.front()));
    best = std::max(best, is_whole ? Place::by_itself : Place::within_a_word);
  }
  return best;
}

// "indexOf" of "string.indexOf(string) -> int".
std::string_view name_in(std::string_view signature) {
  const std::string_view called = signature.substr(0, signature.find('('));
  return called.contains(' ') ? std::string_view() : called;
}

// How much an entry is about a word: most (3) if it is named so, then if the word is a part of a
// name, then if the text has it; not at all (0) if it is only within another word: "now" in
// "nowhere".
int about(const cel::ReferenceEntry& entry, std::string_view word) {
  Place named = Place::nowhere;
  Place mentioned = std::max(place_of(entry.group, word), place_of(entry.sentence, word));
  for (const std::string& signature : entry.signatures) {
    named = std::max(named, place_of(name_in(signature), word));
    mentioned = std::max(mentioned, place_of(signature, word));
  }
  if (named != Place::nowhere) return named == Place::by_itself ? 3 : 2;
  return mentioned == Place::by_itself ? 1 : 0;
}

struct Found {
  cel::ReferenceEntry entry;
  int about;
};

// What mentions all of the words, most about them first.
std::vector<Found> find(const std::vector<std::string>& words) {
  std::vector<Found> found;
  for (cel::ReferenceEntry& entry : cel::reference()) {
    int least = 3;
    for (const std::string& word : words) least = std::min(least, about(entry, word));
    if (least > 0) found.push_back({std::move(entry), least});
  }
  std::ranges::stable_sort(found, std::ranges::greater{}, &Found::about);
  return found;
}

// Names of functions that are like one of the words.
std::string names_near(const std::vector<std::string>& words) {
  std::vector<text::NamedCandidate> names;
  for (const cel::ReferenceEntry& entry : cel::reference()) {
    for (const std::string& signature : entry.signatures) {
      const std::string_view name = name_in(signature);
      const std::string_view last = name.substr(name.rfind('.') + 1);
      if (last.empty() || std::ranges::contains(names, last, &text::NamedCandidate::shown))
        continue;
      names.push_back({.shown = std::string(last), .compared = std::string(last)});
    }
  }
  std::string near;
  for (const std::string& word : words) {
    const std::string of_word = text::nearest_names(word, names);
    if (!of_word.empty()) near += (near.empty() ? "" : ", ") + of_word;
  }
  return near;
}

int list(const Options& options) {
  if (options.markdown) {
    std::cout << cel::reference_page();
    return kOk;
  }
  std::string_view group;
  for (const auto& [entry, about] : find(options.words)) {
    if (entry.group != group) {
      std::cout << (group.empty() ? "" : "\n") << entry.group << "\n";
      group = entry.group;
    }
    for (const std::string& signature : entry.signatures) std::cout << "\n  " << signature;
    std::cout << "\n      " << entry.sentence << "\n      " << entry.example << "\n";
  }
  if (!group.empty()) return kOk;
  std::string words;
  for (const std::string& word : options.words)
    words += (words.empty() ? "'" : " and '") + word + "'";
  const std::string meant = names_near(options.words);
  return report({ErrorKind::not_found, "no function mentions " + words,
                 (meant.empty() ? "" : "did you mean " + meant + "? ") +
                     "`penstock functions` without a word lists all of them",
                 ""});
}

}  // namespace

void add_functions(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* functions =
      app.add_subcommand("functions", "List what CEL expressions can use, each with an example");
  functions->add_option("word", options->words, "Only what mentions these words")
      ->type_name("WORD");
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
