// Lane: one thread and one PostgreSQL connection that commit RowBatches, exactly once and in order.
//
// Place in the flow: sequence/ pushes the batches of a partition in offset order, always to the
// same lane; the lane makes everything that waits one transaction (rows, dead letters, then the
// fence `penstock.advance`, then COMMIT) and tells app/ through its hooks what became of each
// batch.
//
// Threads: begin, push, forget, drain, retry_now, close, stop and the observers may be called from
// any thread. Hooks run on the lane's thread, never under a lock: they may call push, forget and
// retry_now, but not drain, close or stop. Options are immutable after construction.
// Ownership: the lane owns a batch from push() until on_committed or on_dropped, exactly one of
// which happens to every batch. Hooks and the clock must outlive the lane. Failure: see
// failure_class.h. A batch is never dropped because PostgreSQL is away, refuses a row or is
// misconfigured: it waits, or its poison rows become dead letters. Stop: close() commits what is
// queued; stop() abandons it (safe: it will be read again). After either has returned true no hook
// runs any more. start, close and stop may be repeated.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/row_batch.h"
#include "core/stats.h"
#include "core/table.h"

namespace penstock::write {

// From this many rows a transaction goes by binary COPY, below it in one pipelined round trip.
// Measured (./dev bench write, four columns, primary key): COPY costs 1.0 µs a row instead of 2.6,
// but two more round trips and a check. On one machine it pays from about 200 rows, at a round trip
// of 0.5 ms from about 700.
inline constexpr std::size_t kCopyFromRows = 500;

struct LaneOptions {
  std::string conninfo;                  // URI or key=value; never logged
  std::string pipeline;                  // name in penstock.offsets
  std::vector<std::string> topics;       // by TopicIndex
  std::vector<TableDescription> tables;  // by TableRows::table
  int index = 0;  // this lane's number, for names of the thread and the session

  // A transaction takes whole batches until one of these is reached (always at least one batch).
  std::size_t max_rows = 50'000;                  // more brings nothing (field.md)
  std::size_t max_bytes = std::size_t{16} << 20;  // of encoded rows and rejected records
  // How long a batch may wait for max_rows to fill. 0: commit what is there.
  std::chrono::milliseconds max_wait{0};
  // Least time from one BEGIN to the next, unless max_rows wait; shrinks with the commit's own
  // cost.
  std::chrono::microseconds commit_floor{2000};
  std::size_t copy_from_rows = kCopyFromRows;

  std::chrono::milliseconds backoff_min{20};
  std::chrono::milliseconds backoff_max{5'000};
  // The breaker opens after this many failures in a row, or when the first is this long ago.
  int breaker_failures = 4;
  std::chrono::milliseconds breaker_after{5'000};

  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds statement_timeout{60'000};
  std::chrono::milliseconds lock_timeout{15'000};
  // A frozen owner in the middle of a transaction must not hold its locks for ever.
  std::chrono::milliseconds idle_in_transaction_timeout{30'000};
  std::chrono::milliseconds tcp_user_timeout{20'000};
  // Silence beyond statement_timeout after which the server is taken for frozen.
  std::chrono::milliseconds reply_margin{15'000};

  const Clock* clock = nullptr;  // the machine's own when null
};

enum class DropReason : std::uint8_t { forgotten, fenced, stopped };

// One committed transaction.
struct CommitStats {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;         // of encoded rows
  std::uint64_t dead_letters = 0;  // all of them, refused_rows among them
  std::uint64_t refused_rows = 0;  // rows that PostgreSQL refused: rejects of Stage::write
  bool by_copy = false;
  bool bisected = false;
  bool was_unknown = false;  // COMMIT's answer was lost and the table said yes
  std::uint32_t tries = 1;
  SteadyTime begin{};  // of the try that committed
  SteadyTime end{};
};

struct LaneHooks {
  // The batches are committed and visible. They may be moved out of the span; the lane destroys
  // what is left. source->trace.write_begin and commit_end are set.
  std::function<void(std::span<std::unique_ptr<RowBatch>>, const CommitStats&)> on_committed;
  // The position no longer belongs to `mine`. Everything of this partition up to that epoch follows
  // in on_dropped. Null: there is no such row any more.
  std::function<void(PartitionId, Epoch mine, std::optional<Epoch> found,
                     std::optional<Offset> found_offset)>
      on_fenced;
  std::function<void(std::unique_ptr<RowBatch>, DropReason)> on_dropped;
  // The breaker opened (false, with the last failure) or closed again (true). Also while idle.
  std::function<void(bool available, const Error&)> on_availability;
  // PostgreSQL says that schema, grants or credentials are wrong. The lane keeps its work and waits
  // for retry_now(); called again if the next try fails, too.
  std::function<void(const Error&)> on_configuration_error;
};

// Since construction. Any thread may read.
struct LaneCounters {
  Counter transactions_failed;  // rolled back or broken, then tried again
  Counter commits_unknown;
  Counter bisections;
  Counter fenced;  // partitions
  Counter breaker_opened;
  Counter reconnects;
};

class Lane {
 public:
  Lane(LaneOptions options, LaneHooks hooks);
  // As stop().
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Starts the thread, which connects by itself: the database need not be there.
  void start();

  // The partition was claimed: what is stored is this epoch, and `next`. A lane that connects again
  // looks whether that, or what it has committed since, still holds.
  void begin(PartitionId partition, Epoch epoch, Offset next);

  // Never blocks and never refuses: bytes are budgeted before. Batches of one partition and epoch
  // come in offset order without gaps. After close() or stop() the batch goes to on_dropped at
  // once, on the caller's thread.
  void push(std::unique_ptr<RowBatch> batch);

  // Drops everything of this partition up to `epoch`, also what is still pushed later. What is in a
  // transaction at this moment is decided by the fence.
  void forget(PartitionId partition, Epoch epoch);

  // Waits until nothing of these partitions is queued or in flight, without waiting for floor or
  // max_wait. False when the deadline passed first.
  [[nodiscard]] bool drain(std::span<const PartitionId> partitions, SteadyTime deadline);

  // Ends the wait after a configuration error and any backoff.
  void retry_now();

  // No more input; commits what is queued, then ends the thread and the connection. False when the
  // deadline passed first: the lane goes on, and stop() ends it.
  [[nodiscard]] bool close(SteadyTime deadline);
  // Abandons at once: cancels a running statement, drops the rest, joins.
  void stop();

  // Batches queued or in a transaction.
  [[nodiscard]] std::size_t in_flight() const;
  // When the loop last came round: never older than about a second while the lane is alive.
  [[nodiscard]] SteadyTime heartbeat() const;
  [[nodiscard]] bool available() const;  // false while the breaker is open
  [[nodiscard]] const LaneCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::write
