// Claims: takes partitions over in PostgreSQL, so that whoever held them before is fenced.
//
// Place in the flow: ingest asks when partitions are assigned, before the first fetch; the answer
// is the epoch that every later commit carries, and the offset to begin at. The row lock makes a
// claim wait for a transaction of the previous owner that is still in flight: after the claim,
// that owner has either committed, and the answer shows it, or never will (exactly once,
// docs/guarantees.md).
//
// Threads: one at a time (ingest's poll thread); the counters may be read by any thread.
// Ownership: owns its connection, which is made when first needed and again when it broke.
// Failure: a claim is all or nothing over the partitions of one call, but for those that are
// refused one by one in the answer. `unavailable` and `deadline_exceeded`: nothing was claimed, or
// it is not known; claim again, which at worst raises an epoch twice. `permission_denied`,
// `not_found` (the schema is missing) and `invalid_argument`: a person must act.
// Waiting: at most about `connect_timeout` + 3 × `lock_timeout`, whatever the database does.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/claim.h"
#include "core/error.h"
#include "core/ids.h"

namespace penstock::offsets {

// A partition by the name that PostgreSQL knows it by.
struct PartitionName {
  PartitionId id;
  std::string topic;
};

// What release() gives up.
struct Claimed {
  PartitionId id;
  std::string topic;
  Epoch epoch = Epoch::none;
};

struct StoredPosition {
  PartitionId id;
  bool stored = false;  // false: nobody has claimed this partition yet
  Epoch epoch = Epoch::none;
  Offset next_offset = 0;
  std::string owner;
};

class Claims {
 public:
  struct Options {
    std::string conninfo;
    std::string pipeline;
    std::string owner;  // for people: host and process
    // How long a claim waits for the previous owner's transaction before that owner's backend is
    // terminated. Longer than any sound transaction takes; shorter than a rebalance may last.
    std::chrono::milliseconds lock_timeout{5'000};
    std::chrono::milliseconds connect_timeout{5'000};
  };

  explicit Claims(Options options);
  ~Claims();
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // One answer per request, in the order of the requests. `cluster_id` and `topic_id` of a request
  // are compared with the stored ones when both are known, and stored when they were not. An epoch
  // is above every other that this object was given for the partition, even if a failover took the
  // table back: what is left of an earlier claim stays fenced, and nothing of the new one is.
  [[nodiscard]] Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests);

  // Gives claims up: clears the owner where the epoch is still ours. The epoch stays, so that the
  // next claim fences whatever is left of us.
  [[nodiscard]] Result<void> release(std::span<const Claimed> claimed);

  // What is stored, in the order of `partitions`.
  [[nodiscard]] Result<std::vector<StoredPosition>> read(std::span<const PartitionName> partitions);

  struct Counters {
    std::uint64_t claims = 0;               // partitions claimed
    std::uint64_t lock_timeouts = 0;        // claims that waited for `lock_timeout` in vain
    std::uint64_t terminated_backends = 0;  // previous owners' backends ended
    std::uint64_t reconnects = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::offsets
