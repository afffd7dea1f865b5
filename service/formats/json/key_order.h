// Remembers in which order the fields of an object came last time.
//
// Documents of one producer have the same fields in the same order. So the key at a place is nearly
// always the one that was there in the document before: comparing it with that one, 32 bytes at
// once, replaces reading, hashing and looking it up. What differs is looked up and remembered.
//
// Threads: one at a time, like the reader that has it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "formats/field_tree.h"

namespace penstock::formats {

class KeyOrder {
 public:
  // At least kBlockBytes must be readable behind the start of any key.
  static constexpr std::size_t kBlockBytes = 32;

  // The key that starts at `text` and stands at `place` among the fields of its object is the one
  // of last time. Then *child is what FieldTree::find_child() said of it.
  [[nodiscard]] bool is_as_before(std::size_t place, const char* text,
                                  const FieldTree::Node** child) const noexcept {
    if (place >= keys_.size()) return false;
    const Key& key = keys_[place];
    Block block;
    std::memcpy(&block, text, sizeof block);
    std::uint64_t different = key.mask[0] == 0;  // nothing is remembered
    for (std::size_t i = 0; i < block.size(); ++i) {
      different |= (block[i] ^ key.text[i]) & key.mask[i];
    }
    *child = key.child;
    return different == 0;
  }

  // `key` as it stands in the document, without escapes and with its closing quote behind it.
  void remember(std::size_t place, std::string_view key, const FieldTree::Node* child) {
    if (place >= kMostPlaces) return;
    if (place >= keys_.size()) keys_.resize(place + 1);
    Key& kept = keys_[place];
    kept = {};
    const std::size_t size = key.size() + 1;
    if (size > kBlockBytes) return;
    std::array<unsigned char, kBlockBytes> mask{};
    std::memset(mask.data(), 0xFF, size);
    std::memcpy(&kept.mask, mask.data(), sizeof kept.mask);
    std::memcpy(&kept.text, key.data(), size);
    kept.child = child;
  }

 private:
  static constexpr std::size_t kMostPlaces = 256;
  using Block = std::array<std::uint64_t, kBlockBytes / sizeof(std::uint64_t)>;
  struct Key {
    Block text{};
    Block mask{};  // of the bytes that count: the key and its closing quote; none: no key
    const FieldTree::Node* child = nullptr;
  };

  std::vector<Key> keys_;
};

}  // namespace penstock::formats
