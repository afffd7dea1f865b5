// The inside of a Lane: lane.cc is what other threads call, lane_loop.cc what the lane's thread
// does, lane_failure.cc what it does when something went wrong.
//
// Invariants:
// 1. Only the lane's thread touches what is not guarded by `mutex_` (but for atomics).
// 2. A batch is in `queue_` or in `group_`, and is counted in `pending_` until its hook has
// returned.
// 3. While `unknown_` is set, the group does not change and nothing else is written.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "postgres/wakeup.h"
#include "write/breaker.h"
#include "write/group.h"
#include "write/lane.h"
#include "write/session.h"
#include "write/transaction.h"
#include "write/unknown_commit.h"

namespace penstock::write {

class Lane::Impl {
 public:
  Impl(LaneOptions options, LaneHooks hooks);

  void start();
  void begin(PartitionId partition, Epoch epoch, Offset next);
  void push(std::unique_ptr<RowBatch> batch);
  void forget(PartitionId partition, Epoch epoch);
  bool drain(std::span<const PartitionId> partitions, SteadyTime deadline);
  void retry_now();
  bool close(SteadyTime deadline);
  void stop();
  std::size_t in_flight() const;
  SteadyTime heartbeat() const { return wakeup_.heartbeat(); }
  bool available() const { return available_.load(std::memory_order_relaxed); }
  const LaneCounters& counters() const { return counters_; }

 private:
  struct Queued {
    std::unique_ptr<RowBatch> batch;
    SteadyTime arrived;
    std::size_t rows;
    std::size_t bytes;
  };
  // Everything of a partition up to this epoch is to be dropped.
  struct Gone {
    Epoch epoch;
    DropReason reason;
  };
  using Batches = std::vector<std::unique_ptr<RowBatch>>;

  // On the lane's thread.
  void run();
  void turn();
  void connect();
  void resolve();
  void verify();
  void attempt();
  void idle();
  [[nodiscard]] bool take_group();
  void settle_committed(const CommitStats& stats);
  void handle_fenced(const std::vector<Fenced>& fenced);
  void handle_failure(const postgres::Failure& failure);
  void report_available();
  void drop_gone();
  void drop(Batches batches, DropReason reason);
  void drop_everything();
  void lose_session();
  void split_group();
  [[nodiscard]] SteadyTime now() const { return clock_.steady_now(); }
  [[nodiscard]] bool finished();

  // When the queue may become a transaction; nothing while it is empty.
  [[nodiscard]] std::optional<SteadyTime> ready_at() const REQUIRES(mutex_);
  [[nodiscard]] bool is_full() const REQUIRES(mutex_) {
    return queued_rows_ >= row_limit_ || queued_bytes_ >= options_.max_bytes;
  }
  [[nodiscard]] const Gone* find_gone(PartitionId partition, Epoch epoch) const REQUIRES(mutex_);
  void set_stand(PartitionId partition, Epoch epoch, Offset next) REQUIRES(mutex_);
  void mark_gone(PartitionId partition, Epoch epoch, DropReason reason) REQUIRES(mutex_);
  void release(std::span<const PartitionId> partitions) EXCLUDES(mutex_);
  void end_thread() EXCLUDES(mutex_);

  const LaneOptions options_;
  const LaneHooks hooks_;
  const Clock& clock_;
  postgres::Wakeup wakeup_;
  LaneCounters counters_;
  std::atomic<bool> available_{true};

  mutable Mutex mutex_;
  CondVar settled_;  // `pending_` shrank, or the thread ended
  std::deque<Queued> queue_ GUARDED_BY(mutex_);
  std::size_t queued_rows_ GUARDED_BY(mutex_) = 0;
  std::size_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  std::map<PartitionId, Gone> gone_ GUARDED_BY(mutex_);
  // Where a claim or our last commit has left each partition: empty ranges.
  std::map<PartitionId, Advance> stands_ GUARDED_BY(mutex_);
  bool gone_changed_ GUARDED_BY(mutex_) = false;
  std::map<PartitionId, std::size_t> pending_ GUARDED_BY(mutex_);
  std::size_t pending_total_ GUARDED_BY(mutex_) = 0;
  int draining_ GUARDED_BY(mutex_) = 0;
  bool started_ GUARDED_BY(mutex_) = false;
  bool closing_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  bool retry_asked_ GUARDED_BY(mutex_) = false;
  bool sleeping_ GUARDED_BY(mutex_) = false;  // push() must wake the thread
  std::size_t row_limit_ GUARDED_BY(mutex_);  // shrinks when transactions of max_rows time out
  SteadyTime last_begin_ GUARDED_BY(mutex_){};
  std::chrono::microseconds commit_cost_ GUARDED_BY(mutex_){0};  // moving average

  // The lane's thread only.
  std::unique_ptr<Session> session_;
  std::optional<Group> group_;
  std::optional<BackendIdentity> lost_backend_;  // of the last session, when it broke
  std::optional<CommitStats> unknown_;           // of the COMMIT whose answer was lost
  bool unverified_ = false;                      // whether they still stand where we left them
  Breaker breaker_;
  SteadyTime resume_at_{};  // backoff
  bool halted_ = false;     // configuration error: until retry_now()
  bool was_connected_ = false;

  Mutex join_mutex_;
  std::optional<Thread> thread_ GUARDED_BY(join_mutex_);
};

}  // namespace penstock::write
