// The partitions that are ours: what happens when they come and go, their claims, their seeks.
//
// Threads: the poll thread only; rebalance() runs inside librdkafka's callback on it.
// Failure: a claim or a seek that fails is tried again by retry(); its partition is paused in
// librdkafka meanwhile and says so. Hooks that throw are caught here: nothing passes through C.
// Private to ingest/.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/consumer.h"
#include "ingest/partition.h"
#include "kafka/handle.h"

namespace penstock::ingest {

class Assignment {
 public:
  Assignment(const ConsumerOptions& options, const ConsumerHooks& hooks, ConsumerStats& stats)
      : options_(options), hooks_(hooks), stats_(stats) {}

  // Before the first rebalance. `records` is the queue that all partitions deliver to.
  void attach(rd_kafka_s* kafka, rd_kafka_queue_s* records,
              std::chrono::milliseconds session_timeout);

  // `code` says whether `list` was assigned or revoked.
  void rebalance(int code, rd_kafka_topic_partition_list_s* list);
  // Claims and seeks that are due.
  void retry(SteadyTime now);
  void reclaim(PartitionId id, Epoch old_epoch, bool foreign_owner);
  // Stops reading from it, until a person has acted.
  void block(Partition& partition, std::string reason);
  // Goes back to the end of what was taken in.
  void seek_again(Partition& partition);
  // Gives the open batch, if there is one, to the workers.
  void hand_on(Partition& partition);
  // We are leaving for good: revoked partitions are given back without waiting for them.
  void stop() { stopping_ = true; }

  [[nodiscard]] Partition* find(std::string_view topic, std::int32_t partition);
  [[nodiscard]] Partitions& all() { return partitions_; }
  // Grows whenever pointers from find() may have become invalid.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] bool joined() const { return joined_; }
  // Between a revoke and the assignment that follows it, and while the group forms anew unseen.
  [[nodiscard]] bool rebalancing() const;

 private:
  using Due = std::vector<Partition*>;

  void assigned(rd_kafka_topic_partition_list_s* list);
  // Sets whatever librdkafka remembers of these partitions from earlier assignments, for the one
  // that begins: `list` in the same order, with positions afterwards.
  void begin_anew(const Due& fresh, rd_kafka_topic_partition_list_s* list);
  void revoked(rd_kafka_topic_partition_list_s* list);
  void claim(const Due& due);
  [[nodiscard]] Result<std::vector<ClaimAnswer>> ask(const std::vector<ClaimRequest>& requests);
  [[nodiscard]] std::vector<ClaimRequest> requests_for(const Due& due);
  [[nodiscard]] Result<Offset> initial_offset(const Partition& partition);
  void accept(Partition& partition, const ClaimAnswer& answer);
  void seek(const Due& due);
  void put_off(Partition& partition, const std::string& reason);
  void pause(Partition& partition);
  void drop_chain(Partition& partition);
  void report(const Error& error) const;

  const ConsumerOptions& options_;
  const ConsumerHooks& hooks_;
  ConsumerStats& stats_;
  rd_kafka_s* kafka_ = nullptr;
  rd_kafka_queue_s* records_ = nullptr;
  std::chrono::milliseconds session_timeout_{};

  Partitions partitions_;
  std::uint64_t version_ = 0;
  std::string cluster_id_;
  bool joined_ = false;
  bool revoking_ = false;     // a revoke was served; its assignment has not come yet
  bool in_callback_ = false;  // librdkafka is told where to begin by the assignment itself
  bool stopping_ = false;
  std::int32_t generation_ = -1;
};

}  // namespace penstock::ingest
