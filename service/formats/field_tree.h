// The parts of a document that a pipeline's expressions read, as a tree of field names.
//
// Place in the flow: built once at start from the paths that compiling the expressions collected
// (cel::Inputs::paths()); every reader walks it along with the document. A node may have a slot of
// its own (an expression wants this value), children (expressions want parts of it), or both.
//
// Threads: immutable; shared by all workers. Ownership: keeps no reference to the paths. Readers
// keep a reference to the tree, so that it must outlive them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/inputs.h"

namespace penstock::formats {

class FieldTree {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  struct Node {
    std::string key;                  // the last segment of its path; empty for the root
    std::string path;                 // "msg.customer.id", for messages
    std::uint32_t slot = kNone;       // where the whole value goes
    bool presence_only = false;       // any value will do in `slot`
    std::uint32_t text_slot = kNone;  // where its text goes
    std::uint32_t depth = 0;          // segments from the root
    std::uint32_t slots_begin = 0;    // slots of all descendants: slots_below()
    std::uint32_t slots_end = 0;
    std::uint32_t table = kNone;  // of its children: where their hash table begins
    std::uint32_t table_mask = 0;
    std::uint32_t first_child = kNone;
    std::uint32_t next_sibling = kNone;
    std::uint64_t prefix = 0;  // the key's first eight bytes, zero-filled

    [[nodiscard]] bool has_children() const { return first_child != kNone; }
  };

  // Takes the paths whose root is `root`; a slot is the index of its path.
  explicit FieldTree(std::span<const cel::InputPath> paths, std::string_view root = "msg");

  [[nodiscard]] const Node& root() const { return nodes_.front(); }
  [[nodiscard]] const Node& node(std::uint32_t index) const { return nodes_[index]; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] std::size_t index_of(const Node& node) const {
    return static_cast<std::size_t>(&node - nodes_.data());
  }
  // nullptr: no expression asks for this field. At least eight bytes must be readable from
  // key.data() on, whatever its size.
  [[nodiscard]] const Node* find_child(const Node& parent, std::string_view key) const;

  // The slots of everything below this node (its own is not among them).
  [[nodiscard]] std::span<const std::uint32_t> slots_below(const Node& node) const {
    return std::span(slots_).subspan(node.slots_begin, node.slots_end - node.slots_begin);
  }
  // One more than the largest slot: how many slots a reader may fill.
  [[nodiscard]] std::uint32_t slot_limit() const { return slot_limit_; }

 private:
  void add(const cel::InputPath& path, std::uint32_t slot);
  void number_slots(std::uint32_t index);
  void make_table(Node& node);

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::uint32_t> tables_;  // node indexes; kNone: free
  std::uint32_t slot_limit_ = 0;
};

}  // namespace penstock::formats
