// WriterQueue: what one writer has on one lane: batches that wait, the group under way, and how its
// last tries went.
//
// Place: Writer pushes and adopts from any thread; the lane's thread takes groups and keeps the
// rest of the state, which is its own.
// Invariants:
// 1. A batch waits or is in `group`. One of which a part is committed waits first.
// 2. While `unknown` is set, `group` does not change and nothing else of this writer is written on
//    this lane.
// 3. Batches of a chain that `patience` holds stand aside until its time; they come before
//    what else waits of it.
// 4. After close() nothing waits and nothing is taken any more.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "write/breaker.h"
#include "write/group.h"
#include "write/patience.h"
#include "write/session.h"
#include "write/statement_columns.h"
#include "write/suspects.h"
#include "write/transaction.h"
#include "write/writer.h"

namespace penstock::write {

// What all queues of a writer share.
struct WriterShared {
  WriterShared(WriterOptions chosen, ChainEvents& told)
      : options(std::move(chosen)), events(told) {}
  const WriterOptions options;
  ChainEvents& events;
  WriterCounters counters;
  Suspects suspects;
  // Until then its transactions take turns: two of them have met in rows that they lock in
  // different orders.
  std::atomic<SteadyTime> takes_turns_until = SteadyTime{};
  // A table has changed, as far as can be told, and none has taken a row since.
  std::atomic<bool> table_changed = false;
};

class WriterQueue {
 public:
  WriterQueue(std::shared_ptr<WriterShared> shared, const LanesOptions& lanes);

  // ---- Any thread
  // True: the lane must be woken.
  [[nodiscard]] bool push(std::unique_ptr<RowBatch> batch, SteadyTime now) EXCLUDES(mutex_);
  void adopt(std::shared_ptr<Chain> chain) EXCLUDES(mutex_);
  [[nodiscard]] std::size_t running_chains() EXCLUDES(mutex_);
  void look_again() EXCLUDES(mutex_);
  void ask_retry() EXCLUDES(mutex_);
  void close() EXCLUDES(mutex_);
  [[nodiscard]] bool is_closed() const EXCLUDES(mutex_);

  const std::shared_ptr<WriterShared> writer;

  // ---- The lane's thread, while it serves this queue; else with `turn` held
  Mutex turn;  // detaching holds it while it drops the group
  // Drops what belongs to chains that have ended, if somebody said so.
  void drop_ended() EXCLUDES(mutex_);
  // Whether retry_now() was called since the last time.
  [[nodiscard]] bool take_retry() EXCLUDES(mutex_);
  // When what waits may become a transaction; nothing while nothing waits.
  [[nodiscard]] std::optional<SteadyTime> ready_at() EXCLUDES(mutex_);
  // Whether anything waits or is under way.
  [[nodiscard]] bool has_work() EXCLUDES(mutex_);
  // Takes what waits, up to the bounds: at least one batch, but a part of it where transactions
  // have been too large; of a chain that is held nothing before its time, and then the record at
  // which it is held alone, unless that is tried for the last time.
  void take_group(SteadyTime now) EXCLUDES(mutex_);
  // A record of the chain waits until then at most: nothing of it is taken for a moment. Returns
  // whether that is new.
  bool hold(const std::shared_ptr<Chain>& chain, Offset at, SteadyTime until, SteadyTime now)
      EXCLUDES(mutex_);
  // The chain stands at `next`, and is held no longer if that is behind the record.
  void advanced(Chain& chain, Offset next) EXCLUDES(mutex_);
  // Those that are held although somebody waits for what is in flight of them.
  [[nodiscard]] std::vector<std::shared_ptr<Chain>> held_up() EXCLUDES(mutex_);
  // No transaction goes on beyond this record of the group that begins before it.
  void stop_before(RecordPlace place);
  // Gives the group back, to be taken anew.
  void put_back() EXCLUDES(mutex_);
  // Whether anything waits of chains that the table does not refuse, or that are known to be to
  // blame.
  [[nodiscard]] bool others_wait() EXCLUDES(mutex_);
  // The group's batches that are wholly committed; the rest of a part waits again.
  [[nodiscard]] std::vector<std::unique_ptr<RowBatch>> finish_group() EXCLUDES(mutex_);
  // Chains that have not ended, with where they must stand.
  [[nodiscard]] std::vector<Advance> expected() EXCLUDES(mutex_);
  // Transactions of so many records are too much: half of them next time.
  void halve(std::size_t records) EXCLUDES(mutex_);
  // So many records are enough for the next try.
  void probe(std::size_t records) EXCLUDES(mutex_);
  // This record of the group is too much alone: left out as soon as the one after it passes.
  void leave_out(RecordPlace place, const postgres::Failure& failure);
  // A transaction is committed, and took so long.
  void note_cost(std::chrono::microseconds all, std::chrono::microseconds fence) EXCLUDES(mutex_);
  void drop_group();

  Patience patience;
  std::optional<Group> group;
  std::optional<CommitStats> unknown;         // of the COMMIT whose answer was lost,
  std::vector<Refusal> unknown_refusals;      // without these,
  postgres::BackendIdentity unknown_backend;  // by this backend
  bool halve_if_not_committed = false;
  bool spoiled_if_not_committed = false;
  std::uint64_t verified_session = 0;  // on which its chains were looked at,
  SteadyTime verified_at{};            // and when
  SteadyTime last_begin{};
  SteadyTime resume_at{};  // backoff
  Breaker breaker;
  int failures = 0;      // in a row
  int odd_failures = 0;  // in a row that no row's SQLSTATE has, but that a record may raise
  int spoiled = 0;       // tries since the last good one of which the session ended or was useless
  std::optional<postgres::Failure> spoiled_by;  // the last one, until a new session shows that it
                                                // was not the server
  bool glances = false;                         // it met a lock
  int glances_made = 0;
  // Records that are too much alone, one after the other. The first becomes a dead letter when the
  // one behind them has passed and the first has failed once more: else it is the table's state.
  struct LeftOut {
    std::shared_ptr<Chain> chain;
    Offset offset;
    Refusal why;
  };
  std::vector<LeftOut> left_out;
  bool neighbour_passed = false;
  int failed_again = 0;
  std::uint64_t passed_before = 0;  // rows of all lanes, when the one that is alone failed last
  bool failed_once_more = false;
  void clear_left_out();
  // Whether transactions are smaller than they may be, because some were too much.
  [[nodiscard]] bool is_halved() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return is_limited();
  }
  // Nothing is held against any record for what the session ended of: it was the server.
  void forget_spoiled() EXCLUDES(mutex_);
  std::size_t refused_in_a_row = 0;  // records, in groups of which nothing else came
  RefusalCause refused_by;
  bool is_mostly_refused = false;  // by the table, at the last try
  bool is_outdated = false;        // its tables had changed at the last try
  std::optional<Stall> stall;      // what was told
  double pass = 0;                 // its place in the lane's turns

 private:
  struct Waiting {
    Part part;
    SteadyTime arrived;
    std::size_t rows;
    std::size_t bytes;
  };

  using Turns = std::map<const Chain*, Suspects::Turn>;  // empty: there are no suspects

  [[nodiscard]] Turns sort_by_turn() REQUIRES(mutex_);
  void leave_out_of(Group& taken);
  // Ends `part` where stop_before() said. False: that is where it begins, and `taken` has what
  // comes before.
  [[nodiscard]] bool cut(Part& part, const Group& taken);
  void push_front(Part part) REQUIRES(mutex_);
  void push_front(Waiting waiting) REQUIRES(mutex_);
  // What stands aside of held chains whose time has come waits again.
  void bring_back(SteadyTime now) REQUIRES(mutex_);
  void bring_back(std::deque<Waiting> aside) REQUIRES(mutex_);
  enum class Place : std::uint8_t {
    here,   // in this transaction, as far as it may go
    aside,  // it stands there now
    later,  // in another transaction
  };
  // Of the first that waits, where some chains are held.
  [[nodiscard]] Place place_of_next(Group& taken, SteadyTime now) REQUIRES(mutex_);
  [[nodiscard]] Waiting pop_front() REQUIRES(mutex_);
  [[nodiscard]] bool is_full() const REQUIRES(mutex_) {
    return rows_ >= limit_ || bytes_ >= writer->options.max_bytes;
  }
  // Whether batches are cut at the limit.
  [[nodiscard]] bool is_limited() const REQUIRES(mutex_) { return limit_ < max_rows_; }
  void count_dropped(std::size_t batches) const {
    if (batches > 0) writer->counters.batches_dropped.add(batches);
  }

  const std::size_t max_rows_;
  mutable Mutex mutex_;
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  // Of held chains, each in offset order: rows_ and bytes_ do not count them.
  std::map<std::shared_ptr<Chain>, std::deque<Waiting>> aside_ GUARDED_BY(mutex_);
  std::size_t rows_ GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
  std::size_t limit_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Chain>> chains_ GUARDED_BY(mutex_);
  std::chrono::microseconds commit_cost_ GUARDED_BY(mutex_){0};  // moving averages
  std::chrono::microseconds fence_cost_ GUARDED_BY(mutex_){0};
  bool look_again_ GUARDED_BY(mutex_) = false;
  bool retry_asked_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
  // The lane's thread.
  StatementColumns columns_;
  std::vector<std::pair<std::shared_ptr<Chain>, Offset>> stops_;
};

}  // namespace penstock::write
