#include "core/topics.h"

#include <array>
#include <atomic>
#include <cassert>
#include <functional>
#include <map>

#include "core/mutex.h"

namespace penstock {
namespace {

constexpr std::size_t kChunk = 256;

using Chunk = std::array<std::string, kChunk>;

}  // namespace

// Names stand in chunks that never move, so that who reads one needs no lock.
struct Topics::Shared {
  std::array<std::unique_ptr<Chunk>, kMost / kChunk> chunks;
  std::atomic<std::size_t> count{0};  // of those that may be read
  mutable Mutex mutex;
  std::map<std::string_view, TopicIndex, std::less<>> numbers GUARDED_BY(mutex);
};

Topics::Topics(const std::vector<std::string>& names) : shared_(std::make_shared<Shared>()) {
  for (const std::string& name : names) add(name);
}

std::optional<TopicIndex> Topics::add(std::string_view name) {
  const MutexLock lock(shared_->mutex);
  if (const auto found = shared_->numbers.find(name); found != shared_->numbers.end()) {
    return found->second;
  }
  const std::size_t number = shared_->count.load(std::memory_order_relaxed);
  if (number == kMost) return std::nullopt;
  std::unique_ptr<Chunk>& chunk = shared_->chunks[number / kChunk];
  if (!chunk) chunk = std::make_unique<Chunk>();
  std::string& kept = (*chunk)[number % kChunk];
  kept = name;
  shared_->numbers.emplace(kept, static_cast<TopicIndex>(number));
  shared_->count.store(number + 1, std::memory_order_release);
  return static_cast<TopicIndex>(number);
}

std::optional<TopicIndex> Topics::find(std::string_view name) const {
  const MutexLock lock(shared_->mutex);
  const auto found = shared_->numbers.find(name);
  return found == shared_->numbers.end() ? std::nullopt : std::optional(found->second);
}

const std::string& Topics::name(TopicIndex index) const {
  assert(index < size());
  return (*shared_->chunks[index / kChunk])[index % kChunk];
}

std::size_t Topics::size() const { return shared_->count.load(std::memory_order_acquire); }

std::vector<std::string> Topics::names() const {
  std::vector<std::string> names;
  const std::size_t count = size();
  for (std::size_t i = 0; i < count; ++i) names.push_back(name(static_cast<TopicIndex>(i)));
  return names;
}

}  // namespace penstock
