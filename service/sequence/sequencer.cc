#include "sequence/sequencer.h"

#include <map>
#include <utility>

namespace penstock::sequence {

void Sequencer::accept(std::unique_ptr<RowBatch> batch) {
  const std::shared_ptr<Chain> chain = batch->chain();
  const Offset from = batch->range().from;
  {
    Chain::Order& order = chain->order;
    const MutexLock lock(order.mutex);
    if (chain->running() && from > order.next && !order.waiting.contains(from)) {
      order.waiting.emplace(from, std::move(batch));
      return;
    }
    if (chain->running() && from == order.next) {
      order.next = batch->range().to;
      next_.accept(std::move(batch));
      for (auto it = order.waiting.begin(); it != order.waiting.end() && it->first == order.next;
           it = order.waiting.erase(it)) {
        order.next = it->second->range().to;
        next_.accept(std::move(it->second));
      }
      return;
    }
  }
  dropped_.add();
  batch.reset();  // outside of the lock: it may be large
}

void Sequencer::drop_waiting(Chain& chain) {
  std::map<Offset, std::unique_ptr<RowBatch>> waiting;
  {
    // Waits for a release that is running, so that none is after we return.
    const MutexLock lock(chain.order.mutex);
    waiting.swap(chain.order.waiting);
  }
  dropped_.add(waiting.size());
}

}  // namespace penstock::sequence
