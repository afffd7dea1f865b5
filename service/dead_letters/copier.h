// Copier: dead letters into a topic of Kafka, at least once, after they were committed.
//
// Place: beside a running pipeline; nothing that records pass through waits for it. The flow wakes
// it when dead letters were committed and when a partition was claimed: whoever has a partition
// copies its letters, also those that somebody else has left.
// At least once: a letter waits in penstock.dead_letters until the brokers have confirmed its copy
// (copied_at). Killed in between, it is copied again; away or slow brokers make the table wait, not
// us. A letter that is redriven or purged before is not copied.
// Threads: one of its own; wake() and status() from any. Ownership: the pool and what `partitions`
// refers to outlive it. Failure: status() says why letters wait; all of them are tried again, after
// up to ten seconds. What the brokers do not take of a single letter keeps no other one waiting.
// Stop: stop() returns within a second or two, whatever the servers do; what is not confirmed by
// then is copied by whoever has the partition next.
// Memory: one page of letters (copy_queue.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "concurrency/backoff.h"
#include "concurrency/thread.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/mutex.h"
#include "dead_letters/copy_queue.h"
#include "kafka/producer.h"

namespace penstock::dead_letters {

class Copier {
 public:
  struct Options {
    std::string pipeline;
    std::string topic;
    kafka::Properties kafka;  // as the pipeline's source has them
  };
  // `partitions`: which of them are ours now. It is called on the copier's thread.
  Copier(Options options, postgres::Pool& pool,
         std::function<std::vector<SourcePartition>()> partitions);
  ~Copier();  // stop()
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  void start();
  // There may be letters that wait.
  void wake() EXCLUDES(mutex_);
  void stop() EXCLUDES(mutex_);

  struct Status {
    std::uint64_t copied = 0;  // since it was made
    std::int64_t waiting = 0;  // when it looked last; CopyQueue::kMostCounted: or more
    std::string reason;        // why some wait; empty: none does for long
  };
  [[nodiscard]] Status status() const EXCLUDES(mutex_);

 private:
  void run();
  // False: it is to end.
  [[nodiscard]] bool wait_until_due(SteadyTime due, bool may_be_woken) EXCLUDES(mutex_);
  // Goes once through all that wait, or those that have come since single ones were refused. The
  // error is for all of them.
  [[nodiscard]] Result<void> sweep();
  [[nodiscard]] Result<void> count(std::span<const SourcePartition> partitions);
  [[nodiscard]] Result<void> copy(std::span<const Letter> letters);
  void refused(const Letter& letter, Error error);
  void set_error(std::optional<Error> error) EXCLUDES(mutex_);

  const Options options_;
  const std::function<std::vector<SourcePartition>()> partitions_;
  std::stop_source stopping_;
  CopyQueue queue_;
  std::unique_ptr<kafka::Producer> producer_;
  Backoff backoff_;
  // Single letters that the brokers do not take are tried again with all others, and not each time
  // that one comes.
  std::optional<Error> of_a_letter_;
  std::int64_t after_ = 0;  // where a sweep begins until then
  SteadyTime all_again_{};
  SteadyTime count_again_{};
  std::atomic<std::uint64_t> copied_{0};
  std::atomic<std::int64_t> waiting_{0};
  mutable Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = true;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::optional<Error> error_ GUARDED_BY(mutex_);
  std::optional<Thread> thread_;
};

}  // namespace penstock::dead_letters
