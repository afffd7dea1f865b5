#include "config/secrets.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_set>
#include <utility>

namespace penstock::config {
namespace {

constexpr std::size_t npos = std::string_view::npos;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

bool is_field(std::string_view name, const FieldNames& fields) {
  return std::ranges::binary_search(fields, name);
}

// What belongs to this key may let somebody in. A wrong guess hides a line, and no more.
bool is_suspicious(std::string_view key, const FieldNames& fields) {
  if (key == "postgres") return true;
  if (is_field(key, fields) || key.ends_with(".location") || key.ends_with(".url")) return false;
  std::string folded(key);
  std::ranges::transform(folded, folded.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::array<std::string_view, 15> kParts{
      "pas",  "pw",   "secret", "token", "key", "cred",     "auth",    "pem",
      "jaas", "conn", "url",    "uri",   "dsn", "postgres", "database"};
  return is_secret_property(key) ||
         std::ranges::any_of(kParts, [&](std::string_view part) { return folded.contains(part); });
}

// Below these every key is the user's own, and every value an expression or a test.
bool holds_own_keys(std::string_view key) {
  return key == "columns" || key == "let" || key == "schema" || key == "tests";
}

class Search {
 public:
  Search(std::string_view text, const YamlDocument& document, const FieldNames& fields,
         const std::vector<const YamlNode*>& misplaced)
      : text_(text), fields_(fields) {
    for (const YamlNode& node : document.nodes()) begins_.push_back(node.byte);
    std::ranges::sort(begins_);
    look_at(document.root());
    for (const YamlNode* node : misplaced) {
      add(node->byte, next_after(last_byte(*node, node->byte)), *node, "");
    }
  }

  std::vector<Secret> found() && {
    std::ranges::sort(found_, {}, &Secret::begin);
    std::vector<Secret> apart;
    for (Secret& secret : found_) {
      if (secret.begin >= secret.end) continue;
      if (apart.empty() || apart.back().end <= secret.begin) {
        apart.push_back(std::move(secret));
      } else if (apart.back().end < secret.end) {
        apart.back().end = secret.end;
        apart.back().shown = kMask;
      }
    }
    return apart;
  }

 private:
  void look_at(const YamlNode& node) {
    if (!seen_.insert(&node).second) return;  // an alias
    for (const YamlNode* item : node.items) look_at(*item);
    for (const YamlNode::Member& member : node.members) {
      if (is_suspicious(member.key->text, fields_)) {
        hide(member);
      } else if (!holds_own_keys(member.key->text)) {
        look_at(*member.value);
      }
    }
  }

  // From the colon up to whatever comes next: that the value ends where it seems to is not taken
  // for granted.
  void hide(const YamlNode::Member& member) {
    const std::size_t key = member.key->byte;
    const std::size_t colon =
        text_.find(':', std::min(key + member.key->text.size(), text_.size()));
    if (colon == npos) return;
    const bool is_alias = member.value->byte < key;
    const std::size_t last = is_alias ? key : last_byte(*member.value, key);
    add(colon + 1, next_after(last), *member.value, member.key->text);
    if (is_alias) {
      const std::size_t begin = member.value->byte;
      add(begin, next_after(last_byte(*member.value, begin)), *member.value, member.key->text);
    }
  }

  void add(std::size_t begin, std::size_t end, const YamlNode& value, std::string_view key) {
    begin = std::min(text_.find_first_not_of(" \t\r\n", begin), end);
    while (end > begin && std::string_view(" \t\r\n,").contains(text_[end - 1])) --end;
    found_.push_back({begin, end, shown(value, key, text_.substr(begin, end - begin))});
  }

  // A connection string without its password, and the name of a variable or a file, are worth
  // seeing.
  static std::string shown(const YamlNode& value, std::string_view key, std::string_view text) {
    const bool is_scalar = value.kind == YamlNode::Kind::scalar && !text.contains('\n');
    if (!is_scalar) return std::string(kMask);
    const std::string_view whole = value.text;
    const bool is_variable = whole.starts_with("${") && whole.find('}') == whole.size() - 1 &&
                             (whole.starts_with("${file:/") ||
                              std::ranges::all_of(whole.substr(2, whole.size() - 3), is_word));
    if (is_variable) return std::string(whole);
    return key == "postgres" ? mask_conninfo(whole) : std::string(kMask);
  }

  // The last node of what is written here; what an alias stands for is elsewhere.
  [[nodiscard]] static std::size_t last_byte(const YamlNode& node, std::size_t from) {
    std::size_t last = std::max(node.byte, from);
    const auto look = [&](const YamlNode* child) {
      if (child->byte >= from) last = std::max(last, last_byte(*child, from));
    };
    for (const YamlNode* item : node.items) look(item);
    for (const YamlNode::Member& member : node.members) {
      look(member.key);
      look(member.value);
    }
    return last;
  }

  [[nodiscard]] std::size_t next_after(std::size_t byte) const {
    const auto next = std::ranges::upper_bound(begins_, byte);
    return next == begins_.end() ? text_.size() : std::min(*next, text_.size());
  }

  const std::string_view text_;
  const FieldNames& fields_;
  std::vector<std::size_t> begins_;  // of every node, ascending
  std::unordered_set<const YamlNode*> seen_;
  std::vector<Secret> found_;
};

struct Line {
  std::size_t key_begin = 0;
  std::string_view key;  // empty: it does not begin with one
};

Line line_of(std::string_view line) {
  std::size_t at = 0;
  while (at < line.size() && std::string_view(" \t-?{['\"").contains(line[at])) ++at;
  std::size_t end = at;
  while (end < line.size() && is_word(line[end])) ++end;
  std::size_t after = end;
  while (after < line.size() && std::string_view(" '\"").contains(line[after])) ++after;
  const bool is_key = end > at && (after == line.size() ? line.find('?') < at : line[after] == ':');
  return {at, is_key ? line.substr(at, end - at) : std::string_view()};
}

// Where the value of a suspicious key that stands somewhere in the line begins.
std::size_t suspicious_value(std::string_view line, const FieldNames& fields) {
  std::size_t at = 0;
  while (at < line.size()) {
    if (!is_word(line[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < line.size() && is_word(line[end])) ++end;
    const std::string_view word = line.substr(at, end - at);
    at = end;
    while (at < line.size() && std::string_view(" '\"").contains(line[at])) ++at;
    if (at == line.size() || line[at] != ':' || !is_suspicious(word, fields)) continue;
    return std::min(line.find_first_not_of(" \t", at + 1), line.size());
  }
  return npos;
}

}  // namespace

std::vector<Secret> find_secrets(std::string_view text, const YamlDocument& document,
                                 const FieldNames& fields,
                                 const std::vector<const YamlNode*>& misplaced) {
  return Search(text, document, fields, misplaced).found();
}

std::vector<Secret> suspect_secrets(std::string_view text, const FieldNames& fields) {
  std::vector<Secret> found;
  bool hidden = false;  // what comes may still belong to a secret
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const Line parts = line_of(line);
    const bool is_known =
        !parts.key.empty() && (is_field(parts.key, fields) || parts.key.contains('.'));
    std::size_t from = npos;
    if (hidden && !is_known) {
      from = std::min(line.find_first_not_of(" \t"), line.size());
    } else {
      hidden = false;
      from = suspicious_value(line, fields);
      const bool is_question = !parts.key.empty() && line.find(':', parts.key_begin) == npos;
      if (from != npos || (is_question && is_suspicious(parts.key, fields))) hidden = true;
    }
    if (from < line.size()) found.push_back({begin + from, end, std::string(kMask)});
    begin = end + 1;
  }
  return found;
}

}  // namespace penstock::config
