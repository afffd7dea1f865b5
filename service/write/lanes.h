// Lanes: the connections of this process that commit into one database, shared by its pipelines.
//
// Place in the flow: one per database; every pipeline that writes there attaches a Writer. Each
// lane is one thread and one session. A transaction holds batches of one writer only, so that one
// pipeline's broken table or bad row never costs another's progress; a lane serves its writers in
// turn, by weight, and one that backs off or waits for a lock stands aside until its time.
//
// Threads: any, but for start() and stop(), which may be repeated.
// Ownership: writers hold what they need and may outlive it; after stop() they drop.
// Failure: the database need not be there: a lane connects by itself, backs off, and tells its
// writers (ChainEvents::stalled).
// Stop: abandons at once: cancels a running statement, drops what is queued (safe: it will be read
// again), joins. Whoever wants it committed waits for InFlight to be empty before.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/stages.h"
#include "postgres/reach.h"
#include "write/writer.h"

namespace penstock::write {

struct LanesOptions {
  std::string conninfo;  // URI or key=value; never logged
  // In PostgreSQL, with the lane's number behind it. Begins with "penstock/".
  std::string session_name = "penstock/lane";
  int lanes = 2;

  std::chrono::milliseconds backoff_min{20};
  std::chrono::milliseconds backoff_max{5'000};
  // Longest wait between two tries while schema, grants or credentials are wrong, and while a table
  // refuses everything.
  std::chrono::milliseconds configuration_backoff_max{30'000};
  std::chrono::milliseconds refusal_backoff_max{60'000};
  // The breaker opens after this many failures in a row, or when the first is this long ago.
  int breaker_failures = 4;
  std::chrono::milliseconds breaker_after{5'000};

  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds statement_timeout{60'000};
  // A lane that waits for a lock serves nobody else: a writer that meets one stands aside, and
  // where there are others it only glances at the lock again, for 50 ms at a time.
  std::chrono::milliseconds lock_timeout{2'000};
  // A frozen owner in the middle of a transaction must not hold its locks for ever.
  std::chrono::milliseconds idle_in_transaction_timeout{30'000};
  // Nor keep a lane waiting: it ends a session of ours from whose process nothing has come for so
  // long (silent_holders.h).
  std::chrono::milliseconds holder_silence{5'000};
  std::chrono::milliseconds tcp_user_timeout{20'000};
  // Silence beyond statement_timeout after which the server is taken for frozen, whatever is known.
  std::chrono::milliseconds reply_margin{15'000};
  // Is asked, over a connection of its own, about a statement that has had no answer for
  // `silence_after`, and told of servers that do not answer. Null: nobody is. Outlives the lanes.
  postgres::Reach* reach = nullptr;
  std::chrono::milliseconds silence_after{5'000};

  // How often it is looked whether a position of ours stands where we left it. Who commits sees it
  // at once; this is for partitions to which nothing comes.
  std::chrono::milliseconds verify_every{15'000};

  const Clock* clock = nullptr;  // the machine's own when null
};

class Lanes {
 public:
  explicit Lanes(LanesOptions options);
  // As stop().
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  void start();
  void stop();

  // A pipeline joins. Before or after start().
  [[nodiscard]] std::unique_ptr<Writer> attach(WriterOptions options, ChainEvents& events);

  [[nodiscard]] std::vector<LaneStatus> status() const;

 private:
  const std::shared_ptr<LaneSet> set_;
};

}  // namespace penstock::write
