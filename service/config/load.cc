#include "config/load.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "config/validate.h"
#include "config/yaml/document.h"
#include "config/yaml/reader.h"
#include "text/utf8.h"

namespace penstock::config {
namespace {

Problems whole_file(std::string file, std::string message, std::string hint = {}) {
  Problem problem;
  problem.file = std::move(file);
  problem.message = std::move(message);
  problem.hint = std::move(hint);
  return {std::move(problem)};
}

std::size_t first_bad_byte(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) return i;
  }
  return text.size();
}

// What the rules of validate.h say, where nothing more basic was wrong already.
void add_violations(const Reader& reader, const SourceMap& places,
                    const penstock::v1::Config& config, Problems& problems) {
  const auto known = [&](std::string_view path) {
    return reader.meant().contains(path) || std::ranges::any_of(problems, [&](const Problem& one) {
             // Of the path itself, or of what should contain it.
             const std::string_view rest = path.substr(std::min(path.size(), one.path.size()));
             return path.starts_with(one.path) &&
                    (rest.empty() || rest.front() == '.' || rest.front() == '[');
           });
  };
  Problems found;
  for (Violation& violation : validate(config)) {
    if (known(violation.path)) continue;
    const Place place =
        violation.at_key ? places.key_place(violation.path) : places.value_place(violation.path);
    found.push_back(places.problem(place, std::move(violation.path), std::move(violation.message),
                                   std::move(violation.hint)));
  }
  std::ranges::move(found, std::back_inserter(problems));
}

}  // namespace

std::expected<Loaded, Problems> load_text(std::string_view text, std::string file,
                                          const Environment& environment) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > YamlDocument::kMaxBytes) {
    return std::unexpected(whole_file(std::move(file), "larger than 1 MiB"));
  }
  if (!text::is_valid_utf8(text)) {
    return std::unexpected(whole_file(std::move(file), "not UTF-8 text", "save the file as UTF-8"));
  }
  Loaded loaded{{}, SourceMap(std::move(file), std::string(text))};
  const SourceMap& places = loaded.places;
  if (const std::size_t bad = first_bad_byte(text); bad < text.size()) {
    return std::unexpected(Problems{
        places.problem(places.place_of_byte(bad), "", "a control character", "remove it")});
  }
  const auto document = YamlDocument::parse(text);
  if (!document) {
    const YamlMistake& mistake = document.error();
    return std::unexpected(Problems{
        places.problem(places.place_of_byte(mistake.byte), "", mistake.message, mistake.hint)});
  }

  Reader reader(loaded.places, environment);
  reader.read(document->root(), loaded.config);
  Problems problems = reader.take_problems();
  const bool readable =
      std::ranges::none_of(problems, [](const Problem& problem) { return problem.path.empty(); });
  if (readable) add_violations(reader, places, loaded.config, problems);
  if (!problems.empty()) {
    std::ranges::stable_sort(problems, {}, [](const Problem& problem) {
      return std::pair(problem.line, problem.column);
    });
    return std::unexpected(std::move(problems));
  }
  loaded.config = with_defaults(std::move(loaded.config));
  return loaded;
}

std::expected<Loaded, Problems> load_file(const std::filesystem::path& path,
                                          const Environment& environment) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return std::unexpected(whole_file(path.string(), "is a directory", "name the file in it"));
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    const bool there = std::filesystem::exists(path, error);
    return std::unexpected(whole_file(path.string(), there ? "cannot be read" : "does not exist",
                                      there ? "check who may read it" : ""));
  }
  std::string text(YamlDocument::kMaxBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return std::unexpected(whole_file(path.string(), "cannot be read"));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return load_text(text, path.string(), environment);
}

}  // namespace penstock::config
