// What is known of the consumer group that a client is a member of.
//
// Threads: any; each but member_count() asks librdkafka's main thread, which never waits for a
// broker.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/error.h"

struct rd_kafka_s;

namespace penstock::kafka {

// -1: not a member.
[[nodiscard]] std::int32_t generation_of(rd_kafka_s* kafka);

// Whether assignments are told as changes (incremental_assign), or as a whole (assign).
[[nodiscard]] bool is_cooperative(rd_kafka_s* kafka);

// How many members `group` has. Blocks for up to the timeout.
[[nodiscard]] Result<int> member_count(rd_kafka_s* kafka, const std::string& group,
                                       std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
