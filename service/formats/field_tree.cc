#include "formats/field_tree.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace penstock::formats {
namespace {

std::uint64_t prefix_of(std::string_view key) {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, key.data(), std::min(key.size(), sizeof prefix));
  return prefix;
}

// The same as prefix_of(), in one load, where eight bytes can be read.
std::uint64_t load_prefix(std::string_view key) {
  static_assert(std::endian::native == std::endian::little);
  if (key.empty()) return 0;
  std::uint64_t prefix;
  std::memcpy(&prefix, key.data(), sizeof prefix);
  const std::size_t unused_bits = key.size() < 8 ? 64 - 8 * key.size() : 0;
  return (prefix << unused_bits) >> unused_bits;
}

std::uint32_t hash_of(std::uint64_t prefix, std::size_t size) {
  return static_cast<std::uint32_t>(((prefix ^ size) * 0x9E37'79B9'7F4A'7C15U) >> 40);
}

}  // namespace

FieldTree::FieldTree(std::span<const cel::InputPath> paths, std::string_view root) {
  nodes_.emplace_back().path = root;
  for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
    if (paths[slot].root == root) add(paths[slot], slot);
  }
  number_slots(0);
  for (Node& node : nodes_) {
    if (node.has_children()) make_table(node);
  }
}

void FieldTree::add(const cel::InputPath& path, std::uint32_t slot) {
  std::uint32_t at = 0;
  for (const std::string& segment : path.segments) {
    std::uint32_t child = nodes_[at].first_child;
    while (child != kNone && nodes_[child].key != segment) child = nodes_[child].next_sibling;
    if (child == kNone) {
      child = static_cast<std::uint32_t>(nodes_.size());
      Node node;
      node.key = segment;
      node.path = nodes_[at].path + "." + segment;
      node.depth = nodes_[at].depth + 1;
      node.prefix = prefix_of(segment);
      node.next_sibling = nodes_[at].first_child;
      nodes_.push_back(std::move(node));
      nodes_[at].first_child = child;
    }
    at = child;
  }
  if (path.as_text) {
    nodes_[at].text_slot = slot;
  } else {
    nodes_[at].slot = slot;
    nodes_[at].presence_only = path.presence_only;
  }
  slot_limit_ = std::max(slot_limit_, slot + 1);
}

// Depth first, so that the slots of a subtree lie side by side.
void FieldTree::number_slots(std::uint32_t index) {
  nodes_[index].slots_begin = static_cast<std::uint32_t>(slots_.size());
  for (std::uint32_t child = nodes_[index].first_child; child != kNone;
       child = nodes_[child].next_sibling) {
    for (const std::uint32_t slot : {nodes_[child].slot, nodes_[child].text_slot}) {
      if (slot != kNone) slots_.push_back(slot);
    }
    number_slots(child);
  }
  nodes_[index].slots_end = static_cast<std::uint32_t>(slots_.size());
}

void FieldTree::make_table(Node& node) {
  std::uint32_t children = 0;
  for (std::uint32_t child = node.first_child; child != kNone; child = nodes_[child].next_sibling) {
    ++children;
  }
  // At most a quarter full: most keys of a document are not wanted, and find a free place at once.
  const std::uint32_t size = std::bit_ceil(children * 4);
  node.table = static_cast<std::uint32_t>(tables_.size());
  node.table_mask = size - 1;
  tables_.resize(tables_.size() + size, kNone);
  for (std::uint32_t child = node.first_child; child != kNone; child = nodes_[child].next_sibling) {
    std::uint32_t at = hash_of(nodes_[child].prefix, nodes_[child].key.size());
    while (tables_[node.table + (at & node.table_mask)] != kNone) ++at;
    tables_[node.table + (at & node.table_mask)] = child;
  }
}

const FieldTree::Node* FieldTree::find_child(const Node& parent, std::string_view key) const {
  if (!parent.has_children()) return nullptr;
  const std::uint64_t prefix = load_prefix(key);
  std::uint32_t at = hash_of(prefix, key.size());
  while (true) {
    const std::uint32_t index = tables_[parent.table + (at & parent.table_mask)];
    if (index == kNone) return nullptr;
    const Node& node = nodes_[index];
    if (node.prefix == prefix && node.key.size() == key.size() &&
        (key.size() <= 8 ||
         std::memcmp(node.key.data() + 8, key.data() + 8, key.size() - 8) == 0)) {
      return &node;
    }
    ++at;
  }
}

}  // namespace penstock::formats
