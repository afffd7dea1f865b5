// Lets a poller sleep until anything happens: records, a rebalance, a call from outside.
//
// librdkafka has a queue for records and one for the group of each consumer, and can wait on only
// one of them, so all signal here. Threads: notify() from any; wait_until() from the poller.
// Private to ingest/.
#pragma once

#include <chrono>

#include "core/mutex.h"

namespace penstock::ingest {

class Wakeup {
 public:
  void notify() {
    const MutexLock lock(mutex_);
    signalled_ = true;
    condition_.notify_one();
  }
  // Returns at once if notify() was called since the last wait.
  void wait_until(std::chrono::steady_clock::time_point deadline) {
    const MutexLock lock(mutex_);
    while (!signalled_ && condition_.wait_until(mutex_, deadline)) {
    }
    signalled_ = false;
  }

 private:
  Mutex mutex_;
  CondVar condition_;
  bool signalled_ GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::ingest
