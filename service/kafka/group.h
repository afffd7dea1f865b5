// What librdkafka knows of the consumer group that it is a member of.
//
// Threads: any; each asks librdkafka's main thread, which never waits for a broker.
#pragma once

#include <cstdint>

struct rd_kafka_s;

namespace penstock::kafka {

// -1: not a member.
[[nodiscard]] std::int32_t generation_of(rd_kafka_s* kafka);

// Whether assignments are told as changes (incremental_assign), or as a whole (assign).
[[nodiscard]] bool is_cooperative(rd_kafka_s* kafka);

}  // namespace penstock::kafka
