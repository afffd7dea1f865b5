#include "config/source_map.h"

#include <algorithm>
#include <utility>

#include "config/mask.h"

namespace penstock::config {
namespace {

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// `path` ends in a kafka property that is a secret: `…kafka["sasl.password"]`.
bool is_secret_path(std::string_view path) {
  const std::size_t open = path.rfind("[\"");
  if (open == std::string_view::npos || !path.ends_with("\"]")) return false;
  return is_secret_property(path.substr(open + 2, path.size() - open - 4));
}

std::uint32_t code_points(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(text, [](char c) { return !continues_code_point(c); }));
}

}  // namespace

SourceMap::SourceMap(std::string file, std::string text)
    : file_(std::move(file)), text_(std::move(text)) {
  line_begins_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_begins_.push_back(static_cast<std::uint32_t>(i + 1));
  }
}

void SourceMap::add(std::string path, Entry entry) {
  entries_.insert_or_assign(std::move(path), std::move(entry));
}

const SourceMap::Entry* SourceMap::find(std::string_view path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

const SourceMap::Entry* SourceMap::find_nearest(std::string_view path) const {
  while (true) {
    if (const Entry* entry = find(path)) return entry;
    if (path.empty()) return nullptr;
    std::size_t cut = path.find_last_of(".[");
    if (path.ends_with("\"]")) cut = path.rfind("[\"");  // a quoted key may hold dots
    path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
  }
}

Place SourceMap::place_of_byte(std::size_t byte) const {
  if (line_begins_.empty()) return {};
  byte = std::min(byte, text_.size());
  const auto after = std::ranges::upper_bound(line_begins_, static_cast<std::uint32_t>(byte));
  const auto line = static_cast<std::uint32_t>(after - line_begins_.begin());
  const std::size_t begin = line_begins_[line - 1];
  return {line, code_points(std::string_view(text_).substr(begin, byte - begin)) + 1};
}

Place SourceMap::key_place(std::string_view path) const {
  const Entry* entry = find_nearest(path);
  return entry == nullptr ? Place{} : place_of_byte(entry->key);
}

Place SourceMap::value_place(std::string_view path) const {
  const Entry* entry = find(path);
  return entry == nullptr ? key_place(path) : place_of_byte(entry->value);
}

Place SourceMap::place_at(std::string_view path, std::size_t offset) const {
  const Entry* entry = find(path);
  if (entry == nullptr || entry->bytes.empty()) return value_place(path);
  offset = std::min(offset, entry->bytes.size() - 1);
  if (offset + 1 == entry->bytes.size()) {
    // The end of a block stands after its last line end; people look for it on the line.
    while (offset > 0 && text_[entry->bytes[offset - 1]] == '\n') --offset;
  }
  return place_of_byte(entry->bytes[offset]);
}

Place SourceMap::place_at(std::string_view path, std::string_view value, std::uint32_t line,
                          std::uint32_t column) const {
  std::size_t offset = 0;
  for (std::uint32_t i = 1; i < line; ++i) {
    const std::size_t end = value.find('\n', offset);
    if (end == std::string_view::npos) break;
    offset = end + 1;
  }
  for (std::uint32_t i = 1; i < column && offset < value.size(); ++i) {
    do {
      ++offset;
    } while (offset < value.size() && continues_code_point(value[offset]));
  }
  return place_at(path, offset);
}

Problem SourceMap::problem(Place place, std::string path, std::string message,
                           std::string hint) const {
  Problem problem;
  problem.file = file_;
  problem.line = place.line;
  problem.column = place.column;
  problem.path = std::move(path);
  problem.message = std::move(message);
  problem.hint = std::move(hint);
  if (place.line == 0 || place.line > line_begins_.size()) return problem;
  // A secret of several lines (a key in PEM) has lines that do not look like one.
  if (is_secret_path(problem.path)) return problem;
  const std::size_t begin = line_begins_[place.line - 1];
  const std::size_t end = std::min(text_.find('\n', begin), text_.size());
  std::string_view line = std::string_view(text_).substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  MaskedLine masked = mask_line(line, place.column);
  problem.source_line = std::move(masked.text);
  problem.caret = masked.column;
  return problem;
}

std::string child_path(std::string_view parent, std::string_view key) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string path(parent);
  if (!key.empty() && std::ranges::all_of(key, is_word)) {
    if (!path.empty()) path += '.';
    return path.append(key);
  }
  return path.append("[\"").append(key).append("\"]");
}

std::string item_path(std::string_view parent, std::size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

}  // namespace penstock::config
