// Maps, and the builders that make lists and maps in an arena.
//
// Place in the flow: the extractor builds what expressions need of a document; evaluation builds
// what list and map expressions make. Values handed to a builder are not copied deeply: what they
// point to must live as long as the arena's content.
//
// Failure: when the arena's limit is reached, add() does nothing and finish() returns the error
// `limit_exceeded`.
#pragma once

#include <cstdint>
#include <span>

#include "cel/arena.h"
#include "cel/value.h"

namespace penstock::cel {

struct MapEntry {
  Value key;
  Value value;
};

// Entries in document order. Lookup is linear in small maps and hashed in large ones.
class Map {
 public:
  [[nodiscard]] std::span<const MapEntry> entries() const noexcept { return {entries_, size_}; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  // nullptr: no such key. int, uint and double keys of the same number are the same key.
  [[nodiscard]] const Value* find(const Value& key) const noexcept;
  [[nodiscard]] const Value* find(std::string_view key) const noexcept {
    return find(Value::of_string(key));
  }

 private:
  friend class MapBuilder;
  // Below this, comparing beats hashing.
  static constexpr std::uint32_t kLinearUpTo = 8;

  [[nodiscard]] const Value* find_hashed(const Value& key) const noexcept;

  const MapEntry* entries_ = nullptr;
  const std::uint32_t* index_ = nullptr;  // 0: free, else entry number + 1; open addressing
  std::uint32_t size_ = 0;
  std::uint32_t index_mask_ = 0;
};

class ListBuilder {
 public:
  explicit ListBuilder(Arena& arena, std::uint32_t expected = 0) noexcept;
  void add(const Value& value) noexcept {
    if (size_ == capacity_) [[unlikely]] {
      if (!grow()) return;
    }
    items_[size_++] = value;
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] Value finish() const noexcept;

 private:
  bool grow() noexcept;

  Arena* arena_;
  Value* items_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  bool failed_ = false;
};

// The LAST of several entries with the same key wins (and keeps the place of the first).
class MapBuilder {
 public:
  explicit MapBuilder(Arena& arena, std::uint32_t expected = 0) noexcept;
  void add(const Value& key, const Value& value) noexcept {
    if (size_ == capacity_) [[unlikely]] {
      if (!grow()) return;
    }
    entries_[size_++] = {key, value};
  }
  // Removes duplicates and, for a large map, makes the index. Once.
  [[nodiscard]] Value finish() noexcept;
  // After finish(): some key was there more than once.
  [[nodiscard]] bool had_duplicates() const noexcept { return had_duplicates_; }

 private:
  bool grow() noexcept;

  Arena* arena_;
  MapEntry* entries_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  bool failed_ = false;
  bool had_duplicates_ = false;
};

}  // namespace penstock::cel
