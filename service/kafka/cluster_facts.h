// Questions to the cluster that a claim needs answered: its id, the topics' ids, where logs begin
// and end, what the group has committed. Each blocks for up to its timeout, and asks for all
// partitions at once: one that has no answer does not keep the others waiting.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "kafka/handle.h"

namespace penstock::kafka {

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
};

// Empty if the brokers do not say within the timeout.
[[nodiscard]] std::string cluster_id(rd_kafka_s* kafka, std::chrono::milliseconds timeout);

// What the cluster says of a topic.
struct TopicFact {
  bool missing = false;  // there is none of that name
  std::string id;
};

// By name. A topic is left out when the cluster does not tell: before Kafka 2.8, without the right
// to describe it, or while there is no controller to ask. Claims then go by the name alone.
[[nodiscard]] std::map<std::string, TopicFact> topic_facts(rd_kafka_s* kafka,
                                                           const std::vector<std::string>& topics,
                                                           std::chrono::milliseconds timeout);
// The ids of those that are there.
[[nodiscard]] std::map<std::string, std::string> topic_ids(rd_kafka_s* kafka,
                                                           const std::vector<std::string>& topics,
                                                           std::chrono::milliseconds timeout);

// The names of all topics that the cluster shows us: of those that we may not describe it says
// nothing.
[[nodiscard]] Result<std::vector<std::string>> topic_names(rd_kafka_s* kafka,
                                                           std::chrono::milliseconds timeout);

// How many partitions a topic has.
[[nodiscard]] Result<std::int32_t> partition_count(rd_kafka_s* kafka, const std::string& topic,
                                                   std::chrono::milliseconds timeout);

enum class LogPlace : std::uint8_t {
  begin,
  end,         // behind the last record
  stable_end,  // where the first open transaction begins, or the end
};

// In the order of `partitions`: the offset, or why it is not known (no leader, no such partition).
[[nodiscard]] std::vector<Result<Offset>> log_offsets(rd_kafka_s* kafka,
                                                      std::span<const TopicPartition> partitions,
                                                      LogPlace place,
                                                      std::chrono::milliseconds timeout);

// What the group has committed, in the order of `partitions`; -1 for nothing.
[[nodiscard]] std::vector<Result<Offset>> committed_offsets(
    rd_kafka_s* kafka, std::span<const TopicPartition> partitions,
    std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
