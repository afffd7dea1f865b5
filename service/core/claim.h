// What ingest asks when a partition is assigned, and what offsets/ answers: the claim.
//
// See docs/guarantees.md: the claim raises the partition's epoch, so that whoever held it before
// is fenced, and says where to begin.
#pragma once

#include <optional>
#include <string>

#include "core/ids.h"

namespace penstock {

struct ClaimRequest {
  PartitionId id;
  std::string topic;
  std::string cluster_id;  // empty when the broker does not say
  std::string topic_id;    // empty when the broker does not say
  // Where to begin if no position is stored. Left out: the answer is then `needs_initial`.
  std::optional<Offset> initial;
};

struct ClaimAnswer {
  PartitionId id;
  bool needs_initial = false;  // nothing is stored, and nothing was changed: ask with `initial`
  Epoch epoch = Epoch::none;
  Offset next_offset = 0;
  // Not empty: the claim was refused and nothing was changed (another cluster, a re-created
  // topic); says why and how to go on.
  std::string refused_reason;
};

}  // namespace penstock
