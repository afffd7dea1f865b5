// What ingest asks when partitions are assigned, and what offsets/ answers: the claim.
//
// See docs/guarantees.md: the claim raises the partition's epoch, so that whoever held it before
// is fenced, and says where to begin. What has no position yet is begun first: all partitions of a
// topic at once, so that what comes to any of them from then on is read, whoever claims it and
// when.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/chain.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/ids.h"

namespace penstock {

struct ClaimRequest {
  PartitionId id;
  std::string topic;
  std::string cluster_id;  // empty when the broker does not say
  std::string topic_id;    // empty when the broker does not say
  // How far this process has seen it committed, for the words of a refusal; -1: it had no claim.
  Offset committed = -1;
};

struct ClaimAnswer {
  PartitionId id;
  // It has no position yet, and nothing was changed: begin it, and ask again.
  bool not_begun = false;
  std::int32_t begun = 0;  // then: how many partitions of its topic have one, the first of them
  Epoch epoch = Epoch::none;
  Offset next_offset = 0;
  std::int32_t leader_epoch = -1;  // Kafka's, of the record before next_offset; -1: not known
  // Not empty: the claim was refused and nothing was changed (another cluster, a re-created
  // topic, a position that somebody deleted); says why and how to go on.
  std::string refused_reason;
  bool is_refused_for_good = false;  // only another process can go on
  // Not empty: nothing was changed yet, because somebody holds the row; says who. Ask again.
  std::string waiting_reason;
};

// Where a topic's partitions begin that have no position.
struct TopicBeginning {
  std::string topic;
  std::string cluster_id;                      // empty when the broker does not say
  std::string topic_id;                        // empty when the broker does not say
  std::int32_t first = 0;                      // the partition that `offsets` begins with
  std::vector<std::optional<Offset>> offsets;  // nothing: it is not known yet
};

// The store answers nobody in this process, not even new connections.
struct Silence {
  SteadyTime since{};    // when it was heard last, or later
  bool refused = false;  // connections are refused at once, as by a server that restarts
};

// Where claims are kept. Threads: any, several at once; every call blocks its caller, bounded by
// deadlines of its own, and ends soon after `stop` was requested (`cancelled`).
class ClaimStore {
 public:
  virtual ~ClaimStore() = default;
  // All or nothing over the partitions of one call, but for those that are refused or wait one by
  // one in the answer. `unavailable`, `deadline_exceeded`: nothing was claimed, or it is not known;
  // asking again is safe, and at worst raises an epoch twice.
  [[nodiscard]] virtual Result<std::vector<ClaimAnswer>> claim(
      std::span<const ClaimRequest> requests, const std::stop_token& stop) = 0;
  // Stores where partitions begin; what has a position keeps it.
  [[nodiscard]] virtual Result<void> begin_topic(const TopicBeginning& beginning,
                                                 const std::stop_token& stop) = 0;
  // Says to people that nobody owns these any more; the next claim works without it.
  [[nodiscard]] virtual Result<void> release(std::span<const std::shared_ptr<Chain>> chains,
                                             const std::stop_token& stop) = 0;
  // Nothing: it answers, as far as is known. Never blocks.
  [[nodiscard]] virtual std::optional<Silence> silence() const = 0;
};

}  // namespace penstock
