// Claims: takes partitions over in PostgreSQL, so that whoever held them before is fenced.
//
// Place in the flow: ingest's claimer asks when partitions are assigned, before the first fetch;
// the answer is the epoch that every later commit carries, and the offset to begin at. The row lock
// makes a claim wait for a transaction of the previous owner that is still in flight: after the
// claim, that owner has either committed, and the answer shows it, or never will (exactly once,
// docs/guarantees.md).
//
// A call claims at once what nobody holds. It waits for the rest up to `lock_timeout`; a Penstock
// backend that has held a row for all of that time, in one transaction, is ended. What is held even
// then comes back with who holds it.
//
// Threads: any, several at once. Ownership: leases a connection of the pool for each call.
// Failure: as ClaimStore says. `permission_denied`, `not_found` (the schema is missing) and
// `invalid_argument`: a person must act.
// Waiting: about lock_timeout + 4 s while the database answers, and 5 s once it says nothing;
// besides that, as long as it takes to get a connection of the pool and to connect. The connection
// is given back between two waits, so that other pipelines come in between. A stop that is
// requested ends everything at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/claim.h"
#include "core/error.h"

namespace penstock::postgres {
class Pool;
}

namespace penstock::offsets {

class Claims final : public ClaimStore {
 public:
  struct Options {
    std::string pipeline;
    std::string owner;  // for people: host and process
    // How long a claim waits for the previous owner's transaction before that owner's backend is
    // ended. Longer than any sound transaction takes; shorter than a rebalance may last.
    std::chrono::milliseconds lock_timeout{5'000};
  };

  // The pool outlives it.
  Claims(Options options, postgres::Pool& pool);
  ~Claims() override;

  // One answer per request, in the order of the requests. A partition that has begun and has no
  // row is refused: somebody deleted it, and what was written of it would be written again. (A
  // failover that takes a beginning back takes back that it has begun, too.) `cluster_id` and
  // `topic_id` of a request are compared with the stored ones when both are known, and stored when
  // they were not. An epoch is above every other that this object was given for the partition, even
  // if a failover took the table back: what is left of an earlier claim stays fenced, and nothing
  // of the new one is.
  [[nodiscard]] Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests,
                                                       const std::stop_token& stop) override;

  // Makes the rows, and keeps in the pipeline's entry (registry.h) how many partitions have begun
  // without a gap, in one transaction. When another beginning was faster, it stays.
  [[nodiscard]] Result<void> begin_topic(const TopicBeginning& beginning,
                                         const std::stop_token& stop) override;

  // Clears the owner where the epoch is still the chain's. The epoch stays, so that the next claim
  // fences whatever is left of us.
  [[nodiscard]] Result<void> release(std::span<const std::shared_ptr<Chain>> chains,
                                     const std::stop_token& stop) override;

  // As the pool's Reach says.
  [[nodiscard]] std::optional<Silence> silence() const override;

  struct Counters {
    std::uint64_t claims = 0;          // partitions claimed
    std::uint64_t lock_timeouts = 0;   // calls that waited for `lock_timeout` in vain
    std::uint64_t ended_backends = 0;  // of previous owners
  };
  [[nodiscard]] Counters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::offsets
