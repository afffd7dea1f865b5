#include "ingest/pollers.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "concurrency/thread.h"
#include "core/mutex.h"
#include "ingest/wakeup.h"

namespace penstock::ingest {
namespace {

// When nobody wakes it: its heartbeat stays young.
constexpr std::chrono::milliseconds kIdleWait(100);

}  // namespace

class Poller {
 public:
  explicit Poller(int number)
      : thread_(std::make_unique<Thread>("poll/" + std::to_string(number), [this] { run(); })) {}
  ~Poller() {
    ending_ = true;
    wakeup_.notify();
    thread_.reset();
  }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void add(const std::shared_ptr<Polled>& polled) {
    ++count_;
    polled->poller_ = this;
    const MutexLock lock(mutex_);
    added_.push_back(polled);
    wakeup_.notify();
  }
  void notify() { wakeup_.notify(); }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] SteadyTime heartbeat() const {
    return SteadyTime(SteadyTime::duration(heartbeat_.load(std::memory_order_relaxed)));
  }

 private:
  void run();
  // False: it is never to be polled again.
  static bool poll(Polled& polled, SteadyTime now);

  std::atomic<bool> ending_{false};
  std::atomic<int> count_{0};
  std::atomic<SteadyTime::rep> heartbeat_{
      std::chrono::steady_clock::now().time_since_epoch().count()};
  Wakeup wakeup_;
  Mutex mutex_;
  std::vector<std::shared_ptr<Polled>> added_ GUARDED_BY(mutex_);
  std::unique_ptr<Thread> thread_;  // last: everything is there when it begins
};

void Poller::run() {
  std::vector<std::shared_ptr<Polled>> all;
  while (!ending_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    heartbeat_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    {
      const MutexLock lock(mutex_);
      all.insert(all.end(), added_.begin(), added_.end());
      added_.clear();
    }
    count_ -= static_cast<int>(std::erase_if(all, [&](const std::shared_ptr<Polled>& polled) {
      if (!polled->woken_.exchange(false) && polled->due_ > now) return false;
      return !poll(*polled, now);
    }));
    SteadyTime due = now + kIdleWait;
    for (const auto& polled : all) due = std::min(due, polled->due_);
    wakeup_.wait_until(due);
  }
}

bool Poller::poll(Polled& polled, SteadyTime now) {
  std::string message;
  try {
    const auto next = polled.round();
    if (next) polled.due_ = now + *next;
    return next.has_value();
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "unknown exception";
  }
  polled.round_failed(message);
  return false;
}

void Polled::wake() {
  if (!woken_.exchange(true)) poller_.load()->notify();
}

Pollers::Pollers(int threads) {
  for (int i = 0; i < std::max(threads, 1); ++i) pollers_.push_back(std::make_unique<Poller>(i));
}

Pollers::~Pollers() = default;

void Pollers::add(const std::shared_ptr<Polled>& polled) {
  const auto least = std::ranges::min_element(
      pollers_, {}, [](const std::unique_ptr<Poller>& poller) { return poller->count(); });
  (*least)->add(polled);
}

SteadyTime Pollers::heartbeat(const Polled& polled) {
  const Poller* poller = polled.poller_;
  return poller == nullptr ? std::chrono::steady_clock::now() : poller->heartbeat();
}

}  // namespace penstock::ingest
