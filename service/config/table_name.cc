#include "config/table_name.h"

#include <algorithm>
#include <utility>

#include "core/table.h"

namespace penstock::config {
namespace {

// PostgreSQL cuts what is longer, so that two names would be one table.
constexpr std::size_t kLongestName = 63;

std::unexpected<Error> malformed(std::string_view text, const std::string& what) {
  return fail(ErrorKind::invalid_argument, "'" + std::string(text) + "' " + what,
              "such as {table} or shop.{table}, where (?P<table>.*) is a group of the pattern");
}

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

Result<TableName> TableName::parse(std::string_view text) {
  TableName name;
  name.parts_.emplace_back();
  const auto add = [&name](char c) {
    Part& part = name.parts_.back();
    if (part.empty() || part.back().is_group) part.emplace_back();
    part.back().text += c;
  };
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      const bool is_doubled = is_quoted && i + 1 < text.size() && text[i + 1] == '"';
      if (is_doubled) {
        add(c);
        ++i;
      } else {
        is_quoted = !is_quoted;
      }
    } else if (is_quoted) {
      add(c);
    } else if (c == '.') {
      name.parts_.emplace_back();
    } else if (c == '{') {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) return malformed(text, "has a '{' that is not closed");
      name.parts_.back().push_back({true, std::string(text.substr(i + 1, end - i - 1))});
      i = end;
    } else if (c == '}') {
      return malformed(text, "has a '}' that closes nothing");
    } else {
      add(folded(c));
    }
  }
  if (is_quoted) return malformed(text, "has a quote that is not closed");
  if (name.parts_.size() > 2) return malformed(text, "has more than a schema and a table");
  if (std::ranges::any_of(name.parts_, &Part::empty)) {
    return malformed(text, "has an empty name in it");
  }
  return name;
}

bool TableName::is_too_long() const {
  return std::ranges::any_of(parts_, [](const Part& part) {
    std::size_t bytes = 0;
    for (const Piece& piece : part) bytes += piece.is_group ? 0 : piece.text.size();
    return bytes > kLongestName;
  });
}

std::vector<std::string> TableName::groups() const {
  std::vector<std::string> names;
  for (const Part& part : parts_) {
    for (const Piece& piece : part) {
      if (piece.is_group && !std::ranges::contains(names, piece.text)) names.push_back(piece.text);
    }
  }
  return names;
}

Result<std::string> TableName::of(const std::map<std::string, std::string>& groups) const {
  std::string quoted;
  for (const Part& part : parts_) {
    std::string name;
    for (const Piece& piece : part) {
      if (!piece.is_group) {
        name += piece.text;
      } else if (const auto group = groups.find(piece.text); group != groups.end()) {
        name += group->second;
      }
    }
    if (name.empty()) {
      return fail(ErrorKind::not_found, "the topic's name has nothing to name its table by",
                  "match such topics with another pattern");
    }
    if (name.size() > kLongestName) {
      return fail(ErrorKind::not_found,
                  "'" + name + "' is longer than the name of a table may be (" +
                      std::to_string(kLongestName) + " bytes)",
                  "match such topics with another pattern");
    }
    quoted += (quoted.empty() ? "" : ".") + quote_identifier(name);
  }
  return quoted;
}

}  // namespace penstock::config
