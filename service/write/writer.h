// Writer: one pipeline's way into the lanes of its database.
//
// Place in the flow: sequence/ hands it the batches of a chain in offset order; it passes them to
// the chain's lane, which makes everything of this pipeline that waits there one transaction (rows,
// dead letters, then the fence `penstock.advance`, then COMMIT) and tells ChainEvents.
//
// Threads: everything may be called from any thread, but not from an event. Events come on the
// lanes' threads, for one writer from several at once, never under a lock.
// Ownership: it owns a batch from accept() to ChainEvents::committed, or until it drops it, because
// its chain has ended or the writer is detached. The events and the InFlight of its batches must
// outlive it; the Lanes need not.
// Failure: see postgres/failure_class.h. A batch of a running chain is never dropped because
// PostgreSQL is away, slow, misconfigured or refuses a row: it waits and is tried again by itself,
// or its poison records become dead letters. stalled() says what is waited for.
// Stop: detach() drops what is there, ending a statement that runs for it; afterwards no event is
// called and accept() drops. The destructor does so too.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/chain.h"
#include "core/reject_window.h"
#include "core/row_batch.h"
#include "core/stages.h"
#include "core/stats.h"
#include "write/outlet.h"

namespace penstock::write {

// From this many rows a transaction goes by binary COPY, below it in one pipelined round trip.
// Measured (./dev bench write, four columns, primary key): COPY costs 1.0 µs a row instead of 2.6,
// but two more round trips and a check. On one machine it pays from about 200 rows, at a round trip
// of 0.5 ms from about 700.
inline constexpr std::size_t kCopyFromRows = 500;

// What PostgreSQL refuses for this may pass a little later: it is tried again for so long.
struct RetryRule {
  std::string sqlstate;  // or a class: its first two characters; the longer one counts
  std::chrono::milliseconds limit{0};
};

struct WriterOptions {
  std::string pipeline;    // for logs
  std::string owner = {};  // whom the claims of its chains name
  // Share of a lane's time when there is not enough for all of its writers.
  int weight = 4;
  // A transaction takes whole batches until one of these is reached (always at least one batch).
  std::size_t max_rows = 50'000;                  // more brings nothing (field.md)
  std::size_t max_bytes = std::size_t{16} << 20;  // of encoded rows and rejected records
  // How long a batch may wait for max_rows to fill, unless its chain is hurried. 0: commit what is
  // there.
  std::chrono::milliseconds max_wait{0};
  // Least time from one BEGIN to the next, unless max_rows wait or a chain is hurried; shrinks with
  // the commit's own cost, and grows with the fence's.
  std::chrono::microseconds commit_floor{2000};
  std::size_t copy_from_rows = kCopyFromRows;
  // A partition stops before so many of its last records have become dead letters.
  std::size_t reject_limit = RejectWindow::kRecords / 4;
  // Which refusals are waited out before they are dead letters. Empty: none.
  std::vector<RetryRule> retry_for = {};
};

class LaneSet;
class WriterQueue;
struct WriterShared;

class Writer final : public Outlet {
 public:
  // By Lanes::attach().
  Writer(std::shared_ptr<LaneSet> lanes, WriterOptions options, ChainEvents& events);
  ~Writer() override;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Chooses the lane with the fewest running chains, of all pipelines, then of this one. A lane
  // that connects again looks whether what is committed of the chain still holds.
  void adopt(const std::shared_ptr<Chain>& chain) override;
  void accept(std::unique_ptr<RowBatch> batch) override;
  void wake() override;
  void retry_now(bool accept_rejects) override;
  void detach() override;

  [[nodiscard]] const WriterCounters& counters() const override;
  [[nodiscard]] std::vector<LaneStatus> lanes() const override;

 private:
  const std::shared_ptr<LaneSet> lanes_;
  const std::shared_ptr<WriterShared> shared_;
  const std::vector<std::shared_ptr<WriterQueue>> queues_;  // by lane
};

}  // namespace penstock::write
