#include "cel/containers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "cel/compare.h"
#include "cel/eval_error.h"

namespace penstock::cel {
namespace {

constexpr EvalError kOutOfMemory{ErrorCode::kLimitExceeded, 0, 0,
                                 "the evaluation needs more memory than its limit"};
constexpr std::uint32_t kFirstCapacity = 4;
constexpr std::uint32_t kLargestCapacity = std::uint32_t{1} << 30;

std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

// Keys come from records: nobody who sends some may know where they meet. No result depends on it.
std::uint64_t secret() noexcept {
  static const std::uint64_t value = [] {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
  }();
  return value;
}

std::uint64_t hash_bytes(std::string_view text) noexcept {
  std::uint64_t h = secret() ^ text.size();
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    h = mix(h ^ word);
  }
  std::uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, at, left);
  return mix(h ^ tail ^ (std::uint64_t{left} << 56));
}

// Equal keys have equal hashes: integral numbers hash as the integer, whatever their type.
std::uint64_t hash_key(const Value& key) noexcept {
  switch (key.kind()) {
    case Kind::kString:
      return hash_bytes(key.as_string());
    case Kind::kJson:  // a key with half a surrogate pair
      return hash_bytes(key.as_json());
    case Kind::kBool:
      return mix(key.as_bool() ? 3 : 2);
    case Kind::kInt:
      return mix(static_cast<std::uint64_t>(key.as_int()));
    case Kind::kUint:
      return mix(key.as_uint());
    case Kind::kDouble: {
      const double d = key.as_double();
      if (d >= -0x1p63 && d < 0x1p63) return mix(static_cast<std::uint64_t>(std::int64_t(d)));
      if (d >= 0x1p63 && d < 0x1p64) return mix(static_cast<std::uint64_t>(d));
      return 0;
    }
    default:
      return 0;
  }
}

}  // namespace

const Value* Map::find(const Value& key) const noexcept {
  if (index_ != nullptr) return find_hashed(key);
  if (key.is_string()) {
    const std::string_view text = key.as_string();
    for (std::uint32_t i = 0; i < size_; ++i) {
      const Value& k = entries_[i].key;
      if (k.is_string() && same_text(k.as_string(), text)) return &entries_[i].value;
    }
    return nullptr;
  }
  for (std::uint32_t i = 0; i < size_; ++i) {
    if (same_key(entries_[i].key, key)) return &entries_[i].value;
  }
  return nullptr;
}

const Value* Map::find_hashed(const Value& key) const noexcept {
  for (std::uint64_t at = hash_key(key);; ++at) {
    const std::uint32_t entry = index_[at & index_mask_];
    if (entry == 0) return nullptr;
    if (same_key(entries_[entry - 1].key, key)) return &entries_[entry - 1].value;
  }
}

ListBuilder::ListBuilder(Arena& arena, std::uint32_t expected) noexcept : arena_(&arena) {
  if (expected == 0) return;
  items_ = arena.allocate_array<Value>(expected);
  failed_ = items_ == nullptr;
  capacity_ = failed_ ? 0 : expected;
}

bool ListBuilder::grow() noexcept {
  if (failed_) return false;
  const std::uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  auto* items = capacity <= kLargestCapacity ? arena_->allocate_array<Value>(capacity) : nullptr;
  if (items == nullptr) {
    failed_ = true;
    return false;
  }
  std::copy_n(items_, size_, items);
  items_ = items;
  capacity_ = capacity;
  return true;
}

Value ListBuilder::finish() const noexcept {
  return failed_ ? Value::error(&kOutOfMemory) : Value::of_list({items_, size_});
}

MapBuilder::MapBuilder(Arena& arena, std::uint32_t expected) noexcept : arena_(&arena) {
  if (expected == 0) return;
  entries_ = arena.allocate_array<MapEntry>(expected);
  failed_ = entries_ == nullptr;
  capacity_ = failed_ ? 0 : expected;
}

bool MapBuilder::grow() noexcept {
  if (failed_) return false;
  const std::uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  auto* entries =
      capacity <= kLargestCapacity ? arena_->allocate_array<MapEntry>(capacity) : nullptr;
  if (entries == nullptr) {
    failed_ = true;
    return false;
  }
  std::copy_n(entries_, size_, entries);
  entries_ = entries;
  capacity_ = capacity;
  return true;
}

Value MapBuilder::finish() noexcept {
  auto* memory = failed_ ? nullptr : arena_->allocate_array<Map>(1);
  if (memory == nullptr) return Value::error(&kOutOfMemory);
  Map* map = new (memory) Map;
  map->entries_ = entries_;

  const bool hashed = size_ > Map::kLinearUpTo;
  std::uint32_t* index = nullptr;
  if (hashed) {
    const std::uint32_t slots = std::bit_ceil(size_ * 2);
    index = arena_->allocate_array<std::uint32_t>(slots);
    if (index == nullptr) return Value::error(&kOutOfMemory);
    std::fill_n(index, slots, 0U);
    map->index_mask_ = slots - 1;
  }
  map->index_ = index;

  // Entries move up over the duplicates; `kept` are final at every moment.
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < size_; ++i) {
    const MapEntry entry = entries_[i];
    Value* earlier = nullptr;
    if (hashed) {
      std::uint64_t at = hash_key(entry.key);
      for (; index[at & map->index_mask_] != 0; ++at) {
        MapEntry& other = entries_[index[at & map->index_mask_] - 1];
        if (same_key(other.key, entry.key)) {
          earlier = &other.value;
          break;
        }
      }
      if (earlier == nullptr) index[at & map->index_mask_] = kept + 1;
    } else {
      for (std::uint32_t j = 0; j < kept && earlier == nullptr; ++j) {
        if (same_key(entries_[j].key, entry.key)) earlier = &entries_[j].value;
      }
    }
    if (earlier != nullptr) {
      had_duplicates_ = true;
      *earlier = entry.value;
    } else {
      entries_[kept++] = entry;
    }
  }
  map->size_ = kept;
  return Value::of_map(map);
}

}  // namespace penstock::cel
