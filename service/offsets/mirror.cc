#include "offsets/mirror.h"

#include <algorithm>

namespace penstock::offsets {

Mirror::Mirror(Options options, Send send, const Clock& clock)
    : options_(options), send_(std::move(send)), clock_(clock), last_round_(clock.steady_now()) {}

void Mirror::assign(PartitionId id, Epoch epoch) {
  const MutexLock lock(mutex_);
  entries_[id] = {epoch, -1, false};
}

void Mirror::forget(PartitionId id) {
  const MutexLock lock(mutex_);
  entries_.erase(id);
}

void Mirror::note(PartitionId id, Epoch epoch, Offset next_offset) {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.epoch != epoch) return;
  Entry& entry = found->second;
  if (next_offset <= entry.next_offset) return;
  entry.next_offset = next_offset;
  entry.dirty = true;
}

void Mirror::tick() {
  const MutexLock round(round_);
  if (clock_.steady_now() - last_round_ < options_.interval) return;
  send_round();
}

void Mirror::flush() {
  const MutexLock round(round_);
  send_round();
}

void Mirror::send_round() {
  outgoing_.clear();
  {
    const MutexLock lock(mutex_);
    for (auto& [id, entry] : entries_) {
      if (entry.dirty) outgoing_.emplace_back(id, entry.next_offset);
      entry.dirty = false;
    }
  }
  last_round_ = clock_.steady_now();
  if (outgoing_.empty()) return;
  std::ranges::sort(outgoing_);
  send_(outgoing_);
}

}  // namespace penstock::offsets
