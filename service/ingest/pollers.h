// Threads that poll for consumers: each consumer is one poller's, and one process has a few.
//
// Threads: any may call anything. A poller sleeps until one of its consumers has something to do:
// an event of librdkafka's, a call from outside, a time that was set. Each gets one bounded round
// at a time, so that none keeps the others waiting. Ownership: outlives its consumers; they are
// shared with it while they are polled. Failure: a round that throws ends its consumer, and no
// other.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"

namespace penstock::ingest {

class Poller;

class Polled {
 public:
  Polled() = default;
  virtual ~Polled() = default;
  Polled(const Polled&) = delete;
  Polled& operator=(const Polled&) = delete;

  // One round; returns when the next is due if wake() is not called before. Nothing: it is done,
  // and is never polled again.
  virtual std::optional<std::chrono::milliseconds> round() = 0;
  // A round threw: it is never polled again.
  virtual void round_failed(const std::string& message) = 0;

  // Its next round is now. Any thread, from add() on.
  void wake();

 private:
  friend class Poller;
  friend class Pollers;
  std::atomic<bool> woken_{true};
  SteadyTime due_{};  // its poller's
  std::atomic<Poller*> poller_{nullptr};
};

class Pollers {
 public:
  // At least one is made.
  explicit Pollers(int threads);
  ~Pollers();
  Pollers(const Pollers&) = delete;
  Pollers& operator=(const Pollers&) = delete;

  // Gives it to the poller with the fewest.
  void add(const std::shared_ptr<Polled>& polled);
  // When the poller of this one last came round; now, as long as it has none.
  [[nodiscard]] static SteadyTime heartbeat(const Polled& polled);

 private:
  std::vector<std::unique_ptr<Poller>> pollers_;
};

}  // namespace penstock::ingest
