// Assignment's partitions of which too many records are rejected: they stop, are tried again, and
// go on.
#include <algorithm>
#include <chrono>
#include <string>

#include "core/log.h"
#include "ingest/assignment.h"

namespace penstock::ingest {
namespace {

// Mostly the same ones are rejected again.
constexpr std::chrono::minutes kTryEvery(1);
// Whether something was committed meanwhile.
constexpr std::chrono::seconds kLookEvery(1);

}  // namespace

void Assignment::block_for_rejects(const std::shared_ptr<Chain>& chain, const std::string& reason) {
  Partition* partition = find(chain->partition);
  if (partition == nullptr || partition->chain != chain) return;
  if (partition->phase == Phase::blocked || partition->phase == Phase::leaving) return;
  partition->rejecting = true;
  partition->accepts_rejects = false;
  partition->rejects = chain->rejects;
  partition->asks_again = true;
  // At once if it was made for another table than there is now.
  const bool is_outdated = !around_.plans.holds(chain->plan);
  partition->not_before =
      options_.clock->steady_now() + (is_outdated ? SteadyTime::duration() : kTryEvery);
  next_due_ = {};
  block(*partition, reason);
}

void Assignment::retry_rejects(bool accept) {
  for (const auto& [id, partition] : partitions_) {
    if (!partition->rejecting) continue;
    // Also for a chain that follows before anything is committed: the table may have changed.
    partition->accepts_rejects = partition->accepts_rejects || accept;
    if (partition->phase != Phase::blocked && partition->chain) {  // it is being tried again
      if (accept) partition->chain->accept_rejects();
      continue;
    }
    partition->not_before = {};
    next_due_ = {};
  }
}

void Assignment::look_at_rejects(Partition& partition, SteadyTime now) {
  if (!partition.rejecting || partition.phase == Phase::blocked || !partition.chain) return;
  if (partition.chain->committed() <= partition.tried_from) {
    next_due_ = std::min(next_due_, now + kLookEvery);
    return;
  }
  partition.rejecting = false;
  partition.accepts_rejects = false;
  partition.blocked_reason.clear();
  touch(partition);
  log(LogLevel::info, "partition_goes_on",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition}});
}

}  // namespace penstock::ingest
