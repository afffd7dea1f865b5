// Questions to the cluster that a claim needs answered: its id, the topics' ids, where logs begin
// and end, what the group has committed. Each blocks for up to its timeout.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "kafka/handle.h"

namespace penstock::kafka {

// Empty if the brokers do not say within the timeout.
[[nodiscard]] std::string cluster_id(rd_kafka_s* kafka, std::chrono::milliseconds timeout);

// By name. A topic is left out when the cluster does not tell: before Kafka 2.8, without the right
// to describe it, or while there is no controller to ask. Claims then go by the name alone.
[[nodiscard]] std::map<std::string, std::string> topic_ids(rd_kafka_s* kafka,
                                                           const std::vector<std::string>& topics,
                                                           std::chrono::milliseconds timeout);

// First and end offset of the log.
[[nodiscard]] Result<OffsetRange> log_range(rd_kafka_s* kafka, const std::string& topic,
                                            std::int32_t partition,
                                            std::chrono::milliseconds timeout);

// The group's committed offset; -1 for none.
[[nodiscard]] Result<Offset> committed_offset(rd_kafka_s* kafka, const std::string& topic,
                                              std::int32_t partition,
                                              std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
