#include "cel/inputs.h"

namespace penstock::cel {
namespace {

// Lengths make it unambiguous: a segment may hold any character.
std::string key_of(std::string_view root, std::span<const std::string> segments) {
  std::string key(root);
  for (const std::string& segment : segments) {
    key += '\0';
    key += std::to_string(segment.size());
    key += ':';
    key += segment;
  }
  return key;
}

bool is_identifier(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && c != '_' && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

}  // namespace

std::string InputPath::to_string() const {
  if (!shown.empty()) return shown;
  std::string text = root;
  for (const std::string& segment : segments) {
    if (is_identifier(segment)) {
      text += '.';
      text += segment;
    } else {
      text += "[\"";
      text += segment;
      text += "\"]";
    }
  }
  return text;
}

std::uint32_t Inputs::add(std::string_view root, std::span<const std::string> segments,
                          bool presence_only) {
  const auto [at, is_new] = slots_.try_emplace(key_of(root, segments), size());
  if (is_new) {
    paths_.push_back({.root = std::string(root),
                      .segments = {segments.begin(), segments.end()},
                      .presence_only = presence_only});
  } else if (!presence_only) {
    paths_[at->second].presence_only = false;
  }
  return at->second;
}

std::uint32_t Inputs::add_text(std::string_view root, std::span<const std::string> segments) {
  // No key of a path without this begins so.
  const auto [at, is_new] = slots_.try_emplace('\0' + key_of(root, segments), size());
  if (is_new) {
    paths_.push_back({.root = std::string(root),
                      .segments = {segments.begin(), segments.end()},
                      .as_text = true});
  }
  return at->second;
}

std::optional<std::uint32_t> Inputs::find(std::string_view root,
                                          std::span<const std::string> segments) const {
  const auto at = slots_.find(key_of(root, segments));
  if (at == slots_.end()) return std::nullopt;
  return at->second;
}

}  // namespace penstock::cel
