// A YAML document as a tree with the place of everything: what the reader turns into a message.
//
// Between yaml-cpp, which does not show outside document.cc, and reader.cc. Aliases share the node
// of their anchor; merge keys are still ordinary members here.
// Threads: immutable once parsed. The nodes live as long as the Document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::config {

struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, sequence, mapping };
  struct Member {
    const YamlNode* key = nullptr;
    const YamlNode* value = nullptr;
  };

  Kind kind = Kind::null;
  bool plain = true;     // a scalar without quotes
  std::size_t byte = 0;  // where it begins in the text: its anchor or tag, if it has one
  std::string tag;       // "!something" that is not YAML's own; else empty
  std::string text;      // of a scalar; the word of a null, empty if nothing is written
  std::vector<const YamlNode*> items;
  std::vector<Member> members;
};

struct YamlMistake {
  std::size_t byte = 0;
  std::string message;
  std::string hint;
};

class YamlDocument {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
  static constexpr std::size_t kMaxDepth = 64;

  // One document of valid UTF-8; an empty one is a null.
  [[nodiscard]] static std::expected<YamlDocument, YamlMistake> parse(std::string_view text);

  [[nodiscard]] const YamlNode& root() const { return *root_; }
  [[nodiscard]] const std::deque<YamlNode>& nodes() const { return nodes_; }

 private:
  friend class TreeBuilder;
  std::deque<YamlNode> nodes_;  // a deque: nodes stay where they are
  const YamlNode* root_ = nullptr;
};

// Where a node at `byte` begins after its "&anchor" and its "!tag".
[[nodiscard]] std::size_t skip_properties(std::string_view text, std::size_t byte);

// For every byte of a scalar's `value`, and for its end, the byte of `text` that wrote it. `begin`
// is the node's place. Where the style is too involved to follow, the nearest place before.
[[nodiscard]] std::vector<std::uint32_t> trace_scalar(std::string_view text, std::size_t begin,
                                                      std::string_view value);

}  // namespace penstock::config
