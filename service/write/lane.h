// Lane: one thread and one session that commit for all writers of a database; LaneSet: the lanes of
// one database.
//
// Place: Lanes and Writer are the outside of a LaneSet. lane.cc is what other threads call and the
// loop, lane_try.cc what it does for a writer, lane_failure.cc what it does when that went wrong,
// lane_waits.cc where a record may pass a little later, lane_spoiled.cc where a record may be what
// its sessions end of, lane_silence.cc what it does while a statement has no answer.
// Turns: each writer has a `pass`, which grows by the time it took divided by its weight; the
// lowest that has something to do and is not backing off comes next.
// Threads: only the lane's thread touches what is not guarded by `mutex_` (but for atomics).
// Invariant: events of a writer are called only while `serving_` or `telling_` is its queue, and
// detaching waits until neither is.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/mutex.h"
#include "postgres/wakeup.h"
#include "write/lanes.h"
#include "write/session.h"
#include "write/silent_holders.h"
#include "write/unknown_commit.h"
#include "write/writer_queue.h"

namespace penstock::write {

class Lane final : private postgres::SilenceWatch {
 public:
  Lane(const LanesOptions& options, int number);

  void start() EXCLUDES(mutex_);
  void stop() EXCLUDES(mutex_);

  void attach(const std::shared_ptr<WriterQueue>& queue) EXCLUDES(mutex_);
  // Returns when no event of this queue's writer is called any more.
  void detach(WriterQueue& queue) EXCLUDES(mutex_);
  void push(WriterQueue& queue, std::unique_ptr<RowBatch> batch);
  void wake() EXCLUDES(mutex_);

  // What its thread does again and again: one thing for one writer, or waiting for something to do.
  // A test that wants no thread calls it instead of start().
  void turn();

  [[nodiscard]] std::size_t running_chains() const EXCLUDES(mutex_);
  [[nodiscard]] LaneStatus status() const EXCLUDES(mutex_);

 private:
  using Queues = std::vector<std::shared_ptr<WriterQueue>>;

  // lane.cc
  void run();
  void take_turn();
  void wait_until(SteadyTime until);
  void idle(SteadyTime until);
  // What is to be done next, or when.
  [[nodiscard]] std::pair<std::shared_ptr<WriterQueue>, SteadyTime> next_writer();
  [[nodiscard]] SteadyTime due(WriterQueue& queue) const;
  [[nodiscard]] SteadyTime due_to_verify(const WriterQueue& queue) const;
  [[nodiscard]] bool begin_serving(WriterQueue& queue) EXCLUDES(mutex_);
  void end_serving() EXCLUDES(mutex_);
  [[nodiscard]] Queues queues() const EXCLUDES(mutex_);
  [[nodiscard]] std::shared_ptr<postgres::Wakeup> wakeup() const EXCLUDES(mutex_);
  void renew_wakeup() EXCLUDES(mutex_);
  [[nodiscard]] SteadyTime now() const { return clock_.steady_now(); }

  // lane_try.cc
  void connect();
  void serve(WriterQueue& queue);
  void resolve(WriterQueue& queue);
  void verify(WriterQueue& queue);
  void attempt(WriterQueue& queue);
  void committed(WriterQueue& queue, CommitStats stats, std::span<const Refusal> refusals);
  static void log_refusals(const WriterQueue& queue, std::span<const Refusal> refusals);
  void fenced(WriterQueue& queue, const std::vector<Fenced>& chains);
  [[nodiscard]] std::vector<Fenced> with_owners(const WriterQueue& queue,
                                                std::vector<Fenced> chains);

  // lane_failure.cc
  void lane_failed(const postgres::Failure& failure);
  void writer_failed(WriterQueue& queue, const postgres::Failure& failure);
  static void suspect_a_record(WriterQueue& queue, const Outcome& outcome);
  void too_much(WriterQueue& queue, const postgres::Failure& failure);
  void not_theirs(WriterQueue& queue, const Outcome& outcome);
  void refused_by_table(WriterQueue& queue, const Outcome& outcome);
  [[nodiscard]] static Error describe_refused(const Group& group, const Outcome& outcome);
  void outdated(WriterQueue& queue, const Outcome& outcome);
  void too_many(WriterQueue& queue, const TooMany& found);
  void interrupted();
  void close_session();
  void lose_session();
  void lane_is_well();
  void writer_is_well(WriterQueue& queue);
  void tell(WriterQueue& queue, const std::optional<Stall>& stall) const;
  void tell_all(const Stall& stall, bool opened);
  [[nodiscard]] bool serves_others(const WriterQueue& queue) const;

  // lane_waits.cc
  void wait(WriterQueue& queue, std::span<const WaitingRecord> waiting);
  void put_off(WriterQueue& queue);

  // lane_spoiled.cc
  [[nodiscard]] bool spoiled(WriterQueue& queue, const postgres::Failure& failure);
  void judge_spoiled(WriterQueue& queue);
  [[nodiscard]] static bool suspects_a_record(const WriterQueue& queue);
  [[nodiscard]] static Error describe_spoiled(const Group& group, const postgres::Failure& failure);
  void forget_spoiled();

  // lane_silence.cc
  [[nodiscard]] std::optional<postgres::Failure> silent(SteadyTime since) override;
  [[nodiscard]] std::optional<postgres::Failure> judge(const postgres::Reach::Answer& answer,
                                                       SteadyTime since);

  const LanesOptions& options_;
  const int number_;
  const Clock& clock_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> sleeping_{false};  // push() must wake the thread
  std::atomic<std::uint64_t> reconnects_{0};

  mutable Mutex mutex_;
  CondVar served_;  // `serving_` has changed
  Queues queues_ GUARDED_BY(mutex_);
  const WriterQueue* serving_ GUARDED_BY(mutex_) = nullptr;
  const WriterQueue* telling_ GUARDED_BY(mutex_) = nullptr;
  // Of the waits of this thread; another one after somebody has interrupted them.
  std::shared_ptr<postgres::Wakeup> wakeup_ GUARDED_BY(mutex_);
  bool connected_ GUARDED_BY(mutex_) = false;
  std::string waiting_for_ GUARDED_BY(mutex_);

  // The lane's thread only.
  std::unique_ptr<Session> session_;
  std::shared_ptr<postgres::Wakeup> session_wakeup_;  // outlives the session
  std::uint64_t session_number_ = 0;
  std::optional<postgres::BackendIdentity> lost_backend_;  // of the last session, when it broke
  std::string server_start_;                               // of the last session's server
  SilentHolders silent_holders_;
  Breaker breaker_;                           // of the connection
  std::optional<postgres::Failure> lost_by_;  // a writer's failure that took the connection
  SteadyTime resume_at_{};
  bool rests_ = false;  // without a session, because it may not be idle for long
  double turn_ = 0;     // the pass of who was served last
  std::shared_ptr<WriterQueue> served_now_;
  // A wait without an answer: what was asked about it.
  struct Silent {
    SteadyTime since{};
    SteadyTime ask_at{};
    std::uint64_t traffic = 0;
    std::shared_ptr<const postgres::Reach::Question> question = nullptr;
  };
  std::optional<Silent> silent_;

  Mutex join_mutex_;
  std::optional<Thread> thread_ GUARDED_BY(join_mutex_);
  bool started_ GUARDED_BY(join_mutex_) = false;
};

class LaneSet {
 public:
  explicit LaneSet(LanesOptions chosen);

  // `queues`: the writer's, by lane.
  void adopt(std::span<const std::shared_ptr<WriterQueue>> queues,
             const std::shared_ptr<Chain>& chain) EXCLUDES(mutex_);
  [[nodiscard]] std::vector<LaneStatus> status() const;

  const LanesOptions options;
  const std::vector<std::unique_ptr<Lane>> lanes;

 private:
  Mutex mutex_;  // one choice of a lane after the other
};

}  // namespace penstock::write
