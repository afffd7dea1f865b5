// A bump arena: where values that do not fit in 16 bytes live.
//
// Place in the flow: whoever feeds an evaluation (the extractor that builds strings, lists and maps
// out of a document) and the evaluation itself allocate here; everything a Value points to lives
// until the next reset(). One arena per worker, reset per record or per batch.
//
// Threads: one thread at a time; not synchronised.
// Ownership: the arena owns its blocks. Nothing with a destructor may be put into it.
// Failure: there is a hard limit. allocate() beyond it returns nullptr and exhausted() stays true
// until reset(); evaluation turns that into the error `limit_exceeded`, never into a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

namespace penstock::cel {

class Arena {
 public:
  // 64 MiB: a 10 MB document and what an expression makes of it, several times over.
  static constexpr std::size_t kDefaultLimitBytes = std::size_t{64} << 20;
  // One block of this size serves ordinary records for ever: reset() keeps it.
  static constexpr std::size_t kDefaultFirstBlockBytes = std::size_t{16} << 10;

  explicit Arena(std::size_t limit_bytes = kDefaultLimitBytes,
                 std::size_t first_block_bytes = kDefaultFirstBlockBytes) noexcept;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  // `alignment` is a power of two, at most 16. Returns nullptr when the limit is reached.
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment = 16) noexcept {
    const std::uintptr_t at = (next_ + (alignment - 1)) & ~(alignment - 1);
    if (at <= end_ && bytes <= end_ - at) [[likely]] {
      next_ = at + bytes;
      return reinterpret_cast<void*>(at);  // NOLINT(performance-no-int-to-ptr)
    }
    return allocate_slow(bytes, alignment);
  }

  // Uninitialised room for `count` objects of a trivial type; nullptr when the limit is reached.
  template <typename T>
  [[nodiscard]] T* allocate_array(std::size_t count) noexcept {
    static_assert(std::is_trivially_destructible_v<T>);
    if (count > limit_bytes_ / sizeof(T)) {
      exhausted_ = true;
      return nullptr;
    }
    return static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
  }

  // A copy of `text` that lives until reset(); data() is nullptr when the limit is reached.
  [[nodiscard]] std::string_view copy(std::string_view text) noexcept;

  // Forgets every allocation. Keeps the first block, frees the others.
  void reset() noexcept;
  // From now on.
  void set_limit_bytes(std::size_t bytes) noexcept { limit_bytes_ = bytes; }

  // An allocation was refused since the last reset().
  [[nodiscard]] bool exhausted() const noexcept { return exhausted_; }
  // Bytes of the blocks that are held now.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_; }
  [[nodiscard]] std::size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  struct Block;

  void* allocate_slow(std::size_t bytes, std::size_t alignment) noexcept;
  void use(Block* block) noexcept;
  void free_blocks() noexcept;

  // Past the end while there is no block, so that even zero bytes get an address.
  std::uintptr_t next_ = 1;
  std::uintptr_t end_ = 0;
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t held_bytes_ = 0;
  std::size_t limit_bytes_;
  std::size_t first_block_bytes_;
  bool exhausted_ = false;
};

}  // namespace penstock::cel
