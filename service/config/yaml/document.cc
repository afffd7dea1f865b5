#include "config/yaml/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace penstock::config {
namespace {

struct Refused {
  YamlMistake mistake;
};

[[noreturn]] void refuse(std::size_t byte, std::string message, std::string hint) {
  throw Refused{{byte, std::move(message), std::move(hint)}};
}

std::size_t byte_of(const YAML::Mark& mark) {
  return mark.is_null() ? 0 : static_cast<std::size_t>(mark.pos);
}

std::string_view line_at(std::string_view text, std::size_t byte) {
  byte = std::min(byte, text.size());
  const std::size_t before = byte == 0 ? std::string_view::npos : text.rfind('\n', byte - 1);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const std::size_t end = text.find('\n', byte);
  return text.substr(begin, (end == std::string_view::npos ? text.size() : end) - begin);
}

bool indented_by_tab(std::string_view line) {
  const std::size_t first = line.find_first_not_of(' ');
  return first != std::string_view::npos && line[first] == '\t';
}

// By words of yaml-cpp's messages.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kHints{{
    {"escape", "use single quotes to keep backslashes as they are"},
    {"hexadecimal", "use single quotes to keep backslashes as they are"},
    {"unicode", "use single quotes to keep backslashes as they are"},
    {"end of sequence", "indent the items of a list alike, each on a line of its own after '- '"},
    {"block entry", "an item of a list stands on a line of its own, indented as the others"},
    {"map key", "check the indentation: a key stands on a line of its own"},
    {"anchor", "a value that begins with '&' or '*' must be quoted"},
    {"alias", "a value that begins with '&' or '*' must be quoted"},
    {"tag", "a value that begins with '!' must be quoted"},
}};

// yaml-cpp says what it expected; people need to know what they wrote.
std::string hint_for(std::string_view text, std::size_t byte, std::string_view message) {
  const std::string_view line = line_at(text, byte);
  // The scanner often notices a tab one line late.
  const std::size_t line_begin = static_cast<std::size_t>(line.data() - text.data());
  const std::string_view previous =
      line_begin == 0 ? std::string_view() : line_at(text, line_begin - 1);
  if (indented_by_tab(line) || indented_by_tab(previous)) {
    return "YAML does not allow tabs for indentation; use spaces";
  }
  if (message.contains("unknown token") && line.contains('?')) {
    return "between '{' and '}', text with a '?' must be quoted: {name: 'msg.?name'}";
  }
  if (message.contains("flow")) {
    return line.contains("${") ? "between '{' and '}', or '[' and ']', a ${VAR} must be quoted"
                               : "a '[' or '{' is not closed";
  }
  if (message.contains("map value") || message.contains("end of map")) {
    return "check the indentation; a value that contains ': ' or begins with a quote and goes on "
           "after it must be quoted as a whole, or written as a block after '|'";
  }
  for (const auto& [words, hint] : kHints) {
    if (message.contains(words)) return std::string(hint);
  }
  return "look at this line and the one before it: mostly a value has to be quoted as a whole";
}

// The null that somebody wrote at `byte`; empty: yaml-cpp is at what comes after nothing.
std::string_view null_word(std::string_view text, std::size_t byte) {
  const std::string_view rest = text.substr(std::min(skip_properties(text, byte), text.size()));
  for (const std::string_view word : {"null", "Null", "NULL", "~"}) {
    if (!rest.starts_with(word)) continue;
    const std::string_view after = rest.substr(word.size());
    if (after.empty() || std::string_view(" \t\r\n,]}").contains(after.front())) return word;
  }
  return {};
}

// Where nothing was written in front of `byte`: behind the last thing that is no comment.
std::size_t end_before(std::string_view text, std::size_t byte) {
  while (byte > 0) {
    const std::size_t begin = text.rfind('\n', byte - 1) + 1;  // npos + 1 is 0
    const std::string_view line = text.substr(begin, byte - begin);
    const std::string_view code = line.substr(0, line.starts_with('#') ? 0 : line.find(" #"));
    const std::size_t last = code.find_last_not_of(" \t\r");
    if (last != std::string_view::npos) return begin + last + 1;
    byte = begin == 0 ? 0 : begin - 1;
  }
  return 0;
}

// yaml-cpp takes the end of the file for the end of a quote.
bool is_closed(std::string_view text, std::size_t byte) {
  const char quote = text[byte];
  for (std::size_t i = byte + 1; i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

}  // namespace

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(YamlDocument& document, std::string_view text) : document_(document), text_(text) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode* node = make(YamlNode::Kind::null, mark, anchor);
    const YamlNode* key = stack_.empty() ? nullptr : stack_.back().key;
    if (mark.is_null()) node->byte = text_.size();
    if (key == nullptr || node->byte > key->byte) node->text = null_word(text_, node->byte);
    // yaml-cpp gives it the place of what comes next, or of its key in {key}.
    const bool is_value = !stack_.empty() && (key != nullptr || is_sequence(*stack_.back().node));
    if (is_value && node->text.empty() && anchor == YAML::NullAnchor) {
      node->byte = std::max(end_before(text_, node->byte), key == nullptr ? 0 : key->byte + 1);
    }
    finish(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || open_anchors_.contains(found->second)) {
      refuse(byte_of(mark), "an alias inside of what it stands for", "write out what it means");
    }
    finish(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = make(YamlNode::Kind::scalar, mark, anchor);
    node->plain = tag == "?";
    set_tag(*node, tag);
    node->text = value;
    const std::size_t begin = node->plain ? text_.size() : skip_properties(text_, node->byte);
    if (begin < text_.size() && (text_[begin] == '"' || text_[begin] == '\'') &&
        !is_closed(text_, begin)) {
      refuse(begin, "not valid YAML: a quote is not closed", "close it, or quote the whole value");
    }
    finish(node);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode* node;
    const YamlNode* key = nullptr;  // of a mapping whose value comes next
  };

  static bool is_sequence(const YamlNode& node) { return node.kind == YamlNode::Kind::sequence; }

  static void set_tag(YamlNode& node, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:")) return;
    node.tag = tag;
  }

  YamlNode* make(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    YamlNode& node = document_.nodes_.emplace_back();
    node.kind = kind;
    node.byte = byte_of(mark);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = &node;
    return &node;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    if (stack_.size() >= YamlDocument::kMaxDepth) {
      refuse(byte_of(mark),
             "nested deeper than " + std::to_string(YamlDocument::kMaxDepth) + " levels",
             "no setting stands so deep; is a bracket not closed?");
    }
    YamlNode* node = make(kind, mark, anchor);
    set_tag(*node, tag);
    open_anchors_.insert(node);
    stack_.push_back({node});
  }

  void close() {
    const YamlNode* node = stack_.back().node;
    stack_.pop_back();
    open_anchors_.erase(node);
    finish(node);
  }

  void finish(const YamlNode* node) {
    if (stack_.empty()) {
      document_.root_ = node;
      return;
    }
    Open& parent = stack_.back();
    if (is_sequence(*parent.node)) {
      parent.node->items.push_back(node);
    } else if (parent.key == nullptr) {
      if (node->kind != YamlNode::Kind::scalar) {
        refuse(node->byte, "a key must be a word",
               "quote it if it begins with one of { [ * & ! or is 'null'");
      }
      parent.key = node;
    } else {
      parent.node->members.push_back({parent.key, node});
      parent.key = nullptr;
    }
  }

  YamlDocument& document_;
  const std::string_view text_;
  std::vector<Open> stack_;
  std::unordered_map<YAML::anchor_t, const YamlNode*> anchors_;
  std::unordered_set<const YamlNode*> open_anchors_;
};

std::expected<YamlDocument, YamlMistake> YamlDocument::parse(std::string_view text) {
  YamlDocument document;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(document, text);
    if (!parser.HandleNextDocument(builder)) document.root_ = &document.nodes_.emplace_back();
    // A second document would be ignored without a word.
    YamlDocument second;
    TreeBuilder second_builder(second, text);
    if (parser.HandleNextDocument(second_builder)) {
      return std::unexpected(YamlMistake{second.root_ == nullptr ? 0 : second.root_->byte,
                                         "a second document in the same file",
                                         "remove the line '---'"});
    }
  } catch (const Refused& refused) {
    return std::unexpected(refused.mistake);
  } catch (const YAML::Exception& error) {
    const std::size_t byte = byte_of(error.mark);
    // What follows a colon is quoted from the file: the name of an alias, an escape.
    const std::string reason = error.msg.substr(0, error.msg.find(": "));
    return std::unexpected(
        YamlMistake{byte, "not valid YAML: " + reason, hint_for(text, byte, error.msg)});
  }
  return document;
}

}  // namespace penstock::config
