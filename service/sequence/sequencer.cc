#include "sequence/sequencer.h"

#include <utility>

namespace penstock::sequence {

struct Sequencer::Chain {
  Mutex mutex;
  bool ended GUARDED_BY(mutex) = false;
  Epoch epoch GUARDED_BY(mutex) = Epoch::none;
  Offset next GUARDED_BY(mutex) = 0;
  std::map<Offset, Batch> waiting GUARDED_BY(mutex);  // by where their ranges begin
  std::size_t waiting_records GUARDED_BY(mutex) = 0;
};

Sequencer::Sequencer(Hooks hooks) : hooks_(std::move(hooks)) {}

Sequencer::~Sequencer() = default;

std::shared_ptr<Sequencer::Chain> Sequencer::find(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = chains_.find(partition);
  return found == chains_.end() ? nullptr : found->second;
}

void Sequencer::drop(Batch batch) {
  dropped_.add();
  if (hooks_.drop) hooks_.drop(std::move(batch));
}

void Sequencer::start_chain(PartitionId partition, Epoch epoch, Offset next) {
  end_chain(partition);
  auto chain = std::make_shared<Chain>();
  {
    const MutexLock lock(chain->mutex);
    chain->epoch = epoch;
    chain->next = next;
  }
  const MutexLock lock(mutex_);
  chains_[partition] = std::move(chain);
}

void Sequencer::end_chain(PartitionId partition) {
  std::shared_ptr<Chain> chain;
  {
    const MutexLock lock(mutex_);
    const auto found = chains_.find(partition);
    if (found == chains_.end()) return;
    chain = std::move(found->second);
    chains_.erase(found);
  }
  std::map<Offset, Batch> waiting;
  {
    // Waits for a release that is running, so that none is after we return.
    const MutexLock lock(chain->mutex);
    chain->ended = true;
    waiting.swap(chain->waiting);
    chain->waiting_records = 0;
  }
  for (auto& [from, batch] : waiting) drop(std::move(batch));
}

void Sequencer::complete(Batch batch) {
  const std::shared_ptr<Chain> chain = find(batch->partition());
  if (chain) {
    const MutexLock lock(chain->mutex);
    const Offset from = batch->range().from;
    const bool belongs = !chain->ended && batch->epoch() == chain->epoch && from >= chain->next &&
                         !chain->waiting.contains(from);
    if (belongs && from > chain->next) {
      chain->waiting_records += batch->source->size();
      chain->waiting.emplace(from, std::move(batch));
      return;
    }
    if (belongs) {
      chain->next = batch->range().to;
      hooks_.release(std::move(batch));
      for (auto it = chain->waiting.begin(); it != chain->waiting.end() && it->first == chain->next;
           it = chain->waiting.erase(it)) {
        chain->next = it->second->range().to;
        chain->waiting_records -= it->second->source->size();
        hooks_.release(std::move(it->second));
      }
      return;
    }
  }
  drop(std::move(batch));
}

std::size_t Sequencer::in_flight(PartitionId partition) const {
  const std::shared_ptr<Chain> chain = find(partition);
  if (!chain) return 0;
  const MutexLock lock(chain->mutex);
  return chain->waiting_records;
}

}  // namespace penstock::sequence
