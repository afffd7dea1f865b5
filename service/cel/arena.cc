#include "cel/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace penstock::cel {

struct Arena::Block {
  Block* next;
  std::size_t bytes;  // with this header
};

namespace {

// Blocks double up to this; larger single requests get a block of their own size.
constexpr std::size_t kLargestGrowthBytes = std::size_t{4} << 20;

}  // namespace

Arena::Arena(std::size_t limit_bytes, std::size_t first_block_bytes) noexcept
    : limit_bytes_(limit_bytes), first_block_bytes_(first_block_bytes) {}

Arena::~Arena() { free_blocks(); }

Arena::Arena(Arena&& other) noexcept
    : next_(std::exchange(other.next_, 1)),
      end_(std::exchange(other.end_, 0)),
      first_(std::exchange(other.first_, nullptr)),
      last_(std::exchange(other.last_, nullptr)),
      held_bytes_(std::exchange(other.held_bytes_, 0)),
      limit_bytes_(other.limit_bytes_),
      first_block_bytes_(other.first_block_bytes_),
      exhausted_(std::exchange(other.exhausted_, false)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this == &other) return *this;
  free_blocks();
  next_ = std::exchange(other.next_, 1);
  end_ = std::exchange(other.end_, 0);
  first_ = std::exchange(other.first_, nullptr);
  last_ = std::exchange(other.last_, nullptr);
  held_bytes_ = std::exchange(other.held_bytes_, 0);
  limit_bytes_ = other.limit_bytes_;
  first_block_bytes_ = other.first_block_bytes_;
  exhausted_ = std::exchange(other.exhausted_, false);
  return *this;
}

void* Arena::allocate_slow(std::size_t bytes, std::size_t alignment) noexcept {
  // An oversized request does not become the block that reset() keeps.
  const bool oversized = bytes + alignment + sizeof(Block) > first_block_bytes_;
  if (first_ == nullptr && oversized && bytes < limit_bytes_ &&
      first_block_bytes_ < limit_bytes_ - bytes) {
    if (allocate_slow(0, 1) == nullptr) return nullptr;
  }
  const std::size_t room = limit_bytes_ - std::min(limit_bytes_, held_bytes_);
  const std::size_t overhead = sizeof(Block) + alignment;
  if (room < overhead || bytes > room - overhead) {
    exhausted_ = true;
    return nullptr;
  }
  const std::size_t wanted =
      last_ == nullptr ? first_block_bytes_ : std::min(last_->bytes * 2, kLargestGrowthBytes);
  const std::size_t size = std::min(room, std::max(wanted, bytes + overhead));
  auto* block = static_cast<Block*>(std::malloc(size));
  if (block == nullptr) {
    exhausted_ = true;
    return nullptr;
  }
  block->next = nullptr;
  block->bytes = size;
  (last_ == nullptr ? first_ : last_->next) = block;
  last_ = block;
  held_bytes_ += size;
  use(block);
  return allocate(bytes, alignment);
}

std::string_view Arena::copy(std::string_view text) noexcept {
  auto* chars = static_cast<char*>(allocate(text.size(), 1));
  if (chars == nullptr) return {};
  if (!text.empty()) std::memcpy(chars, text.data(), text.size());
  return {chars, text.size()};
}

void Arena::reset() noexcept {
  exhausted_ = false;
  if (first_ == nullptr) return;
  for (Block* block = std::exchange(first_->next, nullptr); block != nullptr;) {
    held_bytes_ -= block->bytes;
    std::free(std::exchange(block, block->next));
  }
  last_ = first_;
  use(first_);
}

void Arena::use(Block* block) noexcept {
  next_ = reinterpret_cast<std::uintptr_t>(block + 1);
  end_ = reinterpret_cast<std::uintptr_t>(block) + block->bytes;
}

void Arena::free_blocks() noexcept {
  for (Block* block = first_; block != nullptr;) std::free(std::exchange(block, block->next));
}

}  // namespace penstock::cel
