// Outlet: where the rows of one pipeline end, as the flow sees it.
//
// Place in the flow: last. A Writer is one, into PostgreSQL; a test of the flow puts its own there.
// Threads: everything may be called from any thread, but not from an event.
// Stop: after detach() no event is called, and accept() drops.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/chain.h"
#include "core/stages.h"
#include "core/stats.h"

namespace penstock::write {

// Since construction, of all lanes. Any thread may read.
struct WriterCounters {
  Counter transactions;  // committed
  Counter transactions_by_copy;
  Counter rows;
  Counter bytes;  // of encoded rows
  Counter dead_letters;
  Counter transactions_failed;  // rolled back or broken, then tried again
  Counter commits_unknown;
  Counter bisections;
  Counter fenced;  // chains
  Counter breaker_opened;
  Counter batches_dropped;
  LatencyHistogram fence;  // time that PostgreSQL took for it
};

struct LaneStatus {
  int number = 0;
  // Since the loop last came round: never more than about a second while the lane is alive.
  std::chrono::milliseconds heartbeat_age{0};
  bool connected = false;
  std::string waiting_for;  // why it has no session; empty while it is well
  std::uint64_t reconnects = 0;
};

// accept(): batches of one chain come in offset order without gaps.
class Outlet : public RowSink {
 public:
  // A new claim, before its first batch: sets chain->lane.
  virtual void adopt(const std::shared_ptr<Chain>& chain) = 0;
  // Chains have ended or are hurried: look again.
  virtual void wake() = 0;
  // Ends every backoff. `accept_rejects`: what a table refuses most of becomes dead letters.
  virtual void retry_now(bool accept_rejects) = 0;
  // Drops what is there.
  virtual void detach() = 0;

  [[nodiscard]] virtual const WriterCounters& counters() const = 0;
  [[nodiscard]] virtual std::vector<LaneStatus> lanes() const = 0;
};

}  // namespace penstock::write
