#include "config/source_map.h"

#include <algorithm>
#include <utility>

namespace penstock::config {
namespace {

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::uint32_t code_points(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(text, [](char c) { return !continues_code_point(c); }));
}

// Where a column of a text is in what is shown instead: the same words if they are there, else its
// begin. Both are counted in code points.
std::size_t moved(std::string_view original, std::string_view shown, std::size_t column) {
  std::size_t byte = 0;
  for (std::size_t i = 0; i < column; ++i) {
    do {
      ++byte;
    } while (byte < original.size() && continues_code_point(original[byte]));
  }
  if (shown.starts_with(original.substr(0, byte))) return column;
  const std::string_view rest = original.substr(byte);
  return shown.ends_with(rest) ? code_points(shown) - code_points(rest) : 0;
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

std::size_t SourceMap::key_byte(std::string_view path) const {
  const Entry* entry = find_nearest(path);
  return entry == nullptr ? 0 : entry->key;
}

std::size_t SourceMap::value_byte(std::string_view path) const {
  const Entry* entry = find(path);
  return entry == nullptr ? key_byte(path) : entry->value;
}

Place SourceMap::key_place(std::string_view path) const { return place_of_byte(key_byte(path)); }
Place SourceMap::value_place(std::string_view path) const {
  return place_of_byte(value_byte(path));
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
  const std::size_t begin = line_begins_[place.line - 1];
  const std::size_t end = std::min(text_.find('\n', begin), text_.size());
  std::string_view line = std::string_view(text_).substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::size_t from = 0;
  std::size_t columns = place.column - 1;  // of the line that are left of the place
  bool passed = false;
  for (const Secret& secret : secrets_between(begin, begin + line.size())) {
    const std::string_view before = line.substr(from, secret.begin - from);
    const std::string_view original = line.substr(secret.begin, secret.end - secret.begin);
    const std::uint32_t hidden = code_points(original);
    problem.source_line.append(before).append(secret.shown);
    from = secret.end;
    if (passed) continue;
    passed = columns < code_points(before);
    if (passed) continue;
    columns -= code_points(before);
    problem.caret += code_points(before);
    passed = columns < hidden;
    if (passed) {
      columns = moved(original, secret.shown, columns);
    } else {
      columns -= hidden;
      problem.caret += code_points(secret.shown);
    }
  }
  problem.source_line.append(line.substr(from));
  problem.caret += static_cast<std::uint32_t>(columns) + 1;
  return problem;
}

std::vector<Secret> SourceMap::secrets_between(std::size_t begin, std::size_t end) const {
  std::vector<Secret> found;
  auto next = std::ranges::upper_bound(secrets_, begin, {}, &Secret::end);
  for (; next != secrets_.end() && next->begin < end; ++next) {
    const bool is_whole = next->begin >= begin && next->end <= end;
    found.push_back({std::max(next->begin, begin) - begin, std::min(next->end, end) - begin,
                     is_whole ? next->shown : std::string(kMask)});
  }
  for (Secret& secret : secrets_in_uris(std::string_view(text_).substr(begin, end - begin))) {
    const bool is_hidden = std::ranges::any_of(
        found, [&](const Secret& one) { return secret.begin < one.end && one.begin < secret.end; });
    if (!is_hidden) found.push_back(std::move(secret));
  }
  std::ranges::sort(found, {}, &Secret::begin);
  return found;
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
