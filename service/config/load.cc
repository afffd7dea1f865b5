#include "config/load.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <ranges>
#include <set>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "config/secrets.h"
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

void collect_fields(const google::protobuf::Descriptor& message, FieldNames& names,
                    std::set<const google::protobuf::Descriptor*>& seen) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    names.emplace_back(field.name());
    if (field.message_type() != nullptr) collect_fields(*field.message_type(), names, seen);
  }
}

// Every name that the schema knows, wherever its place is.
const FieldNames& field_names() {
  static const FieldNames kNames = [] {
    FieldNames names;
    std::set<const google::protobuf::Descriptor*> seen;
    collect_fields(*penstock::v1::Config::descriptor(), names, seen);
    std::ranges::sort(names);
    return names;
  }();
  return kNames;
}

// A value that came from the environment is not repeated, but where it came from is said.
void hide_variables(const SourceMap& places, Reader::Complaint& complaint) {
  const SourceMap::Entry* entry = places.find(complaint.path);
  if (entry == nullptr || entry->variables.empty()) return;
  const std::string& value = entry->expanded;
  constexpr std::size_t kShortest = 3;  // what is shorter is part of too many words
  const std::string quoted = "'" + value + "'";
  for (std::string* text : {&complaint.message, &complaint.hint}) {
    for (const std::string_view one : {std::string_view(quoted), std::string_view(value)}) {
      if (one.size() < kShortest) continue;
      for (std::size_t at = 0; (at = text->find(one, at)) != std::string::npos;) {
        text->replace(at, one.size(), "it");
      }
    }
  }
  complaint.message += " (" + value_of(entry->variables) + ")";
}

// What the rules of validate.h say, where nothing more basic was wrong already.
void add_violations(const Reader& reader, const SourceMap& places,
                    const penstock::v1::Config& config,
                    std::vector<Reader::Complaint>& complaints) {
  std::unordered_set<std::string_view> paths;
  for (const Reader::Complaint& one : complaints) paths.insert(one.path);
  // Of the path itself, or of what should contain it.
  const auto known = [&](std::string_view path) {
    const auto meant = reader.meant().lower_bound(path);  // it, or what is in it
    if (meant != reader.meant().end() &&
        (*meant == path || meant->starts_with(std::string(path) + "."))) {
      return true;
    }
    if (paths.contains(path)) return true;
    for (std::size_t i = 0; i < path.size(); ++i) {
      if ((path[i] == '.' || path[i] == '[') && paths.contains(path.substr(0, i))) return true;
    }
    return false;
  };
  std::vector<Reader::Complaint> found;
  for (Violation& violation : validate(config)) {
    if (known(violation.path)) continue;
    const std::size_t byte =
        violation.at_key ? places.key_byte(violation.path) : places.value_byte(violation.path);
    Reader::Complaint complaint{byte, std::move(violation.path), std::move(violation.message),
                                std::move(violation.hint)};
    hide_variables(places, complaint);
    found.push_back(std::move(complaint));
  }
  std::ranges::move(found, std::back_inserter(complaints));
}

// In the order of the file; a file that is wrong everywhere does not flood who reads it.
Problems problems_of(const SourceMap& places, std::vector<Reader::Complaint> complaints) {
  std::ranges::stable_sort(complaints, {}, &Reader::Complaint::byte);
  Problems problems;
  for (Reader::Complaint& one : complaints | std::views::take(kMostProblems)) {
    problems.push_back(places.problem(places.place_of_byte(one.byte), std::move(one.path),
                                      std::move(one.message), std::move(one.hint)));
  }
  if (complaints.size() > kMostProblems) {
    Problem rest;
    rest.file = places.file();
    rest.message = "and " + std::to_string(complaints.size() - kMostProblems) + " more mistakes";
    problems.push_back(std::move(rest));
  }
  return problems;
}

}  // namespace

std::expected<Loaded, Problems> load_text(std::string_view text, std::string file,
                                          const Environment& environment, Servers servers) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > YamlDocument::kMaxBytes) {
    return std::unexpected(whole_file(std::move(file), "larger than 1 MiB"));
  }
  if (!text::is_valid_utf8(text)) {
    return std::unexpected(whole_file(std::move(file), "not UTF-8 text", "save the file as UTF-8"));
  }
  Loaded loaded{{}, SourceMap(std::move(file), std::string(text)), {}};
  SourceMap& places = loaded.places;
  const auto refuse = [&](std::size_t byte, std::string message, std::string hint) {
    places.set_secrets(suspect_secrets(text, field_names()));
    return std::unexpected(Problems{
        places.problem(places.place_of_byte(byte), "", std::move(message), std::move(hint))});
  };
  if (const std::size_t bad = first_bad_byte(text); bad < text.size()) {
    return refuse(bad, "a control character", "remove it");
  }
  const auto document = YamlDocument::parse(text);
  if (!document) {
    return refuse(document.error().byte, document.error().message, document.error().hint);
  }
  Reader reader(places, environment, servers);
  reader.read(document->root(), loaded.config);
  places.set_secrets(find_secrets(text, *document, field_names(), reader.misplaced()));
  std::vector<Reader::Complaint> complaints = reader.take_complaints();
  const bool readable = std::ranges::none_of(
      complaints, [](const Reader::Complaint& one) { return one.path.empty(); });
  if (readable) add_violations(reader, places, loaded.config, complaints);
  if (!complaints.empty()) return std::unexpected(problems_of(places, std::move(complaints)));
  loaded.notes = problems_of(places, reader.take_notes());
  loaded.config = with_defaults(std::move(loaded.config));
  return loaded;
}

std::expected<Loaded, Problems> load_file(const std::filesystem::path& path,
                                          const Environment& environment, Servers servers) {
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
  return load_text(text, path.string(), environment, servers);
}

}  // namespace penstock::config
